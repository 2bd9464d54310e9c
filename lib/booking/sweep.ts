import type { SweepWindow } from "../domain/labels.ts";
import type { SweepFault } from "../domain/sweeps.ts";
import { MINUTE_MS } from "../domain/time-zone.ts";
import { type Booking, bookingFact } from "../inbound/booking-facts.ts";
import { isOwn } from "../inbound/own-addresses.ts";
import type { TranslatedFact } from "../inbound/translation.ts";
import { mustRead, type ReadMeeting, rangesOf, type SweepSettings, windowOf } from "./eligibility.ts";
import { type BookingTool, BookingToolFault, type CallBudget, type ListedMeeting } from "./port.ts";

interface KnownMeeting extends ReadMeeting {
  /** Event ids of facts that the bus has accepted. */
  readonly eventIds: ReadonlySet<string>;
  /** When a sweep last listed it. */
  seenAt: Date;
}

/** The known meetings of a connection, in the memory of the process. Losing it repeats facts, which changes nothing. */
export type SweepMemory = Map<string, KnownMeeting>;

/** Puts facts on the bus. Whether it has accepted all. Never rejects. */
export type PutFacts = (facts: readonly TranslatedFact[]) => Promise<boolean>;

export interface Sweep {
  readonly workspaceId: string;
  readonly tool: BookingTool;
  /** Addresses of the team, or domains with a leading `@`. Their bookings concern no lead. */
  readonly ownAddresses: readonly string[];
  readonly memory: SweepMemory;
  readonly window: SweepWindow;
  readonly settings: SweepSettings;
  readonly now: Date;
  readonly budget: CallBudget;
  readonly put: PutFacts;
}

export interface SweepResult {
  /** Meetings of the window that were listed. */
  readonly seen: number;
  /** Meetings whose people were read. */
  readonly read: number;
  /** Meetings about which the bus accepted a new fact. */
  readonly changed: number;
  readonly fault: SweepFault | null;
  /** The fault as a text. Holds no personal data. */
  readonly reason?: string;
  /** The tool wants no call before. */
  readonly until?: Date | undefined;
}
type Counts = { -readonly [Key in keyof SweepResult]: SweepResult[Key] };

/** How many meetings are read at once: a process that dies loses little, and a tool is not flooded. */
const READ_AT_ONCE = 5;

/**
 * Compares one window of a connection with the known meetings. Puts a fact on the bus for each new or changed booking.
 * Never rejects for a fault of the tool: the result names it, and what was found before it is on the bus.
 */
export async function sweep(given: Sweep): Promise<SweepResult> {
  const result: Counts = { seen: 0, read: 0, changed: 0, fault: null };
  try {
    const eligible = await listEligible(given);
    result.seen = eligible.length;
    for (const { id } of eligible) markSeen(given, id);
    await readNew(given, eligible, result);
    if (result.fault === null) forget(given);
  } catch (thrown) {
    noteFault(result, thrown);
  }
  return result;
}

/** A tool may list a meeting in two ranges if it moves in between. */
async function listEligible({ tool, window, now, settings, budget }: Sweep): Promise<readonly ListedMeeting[]> {
  const found = new Map<string, ListedMeeting>();
  for (const range of rangesOf(window, now, settings)) {
    for (const meeting of await tool.meetings(range, budget)) found.set(meeting.id, meeting);
  }
  return [...found.values()].filter((meeting) => windowOf(meeting, now, settings) === window);
}

function markSeen({ memory, now }: Sweep, id: string): void {
  const known = memory.get(id);
  if (known) known.seenAt = now;
}

/** A meeting that neither window has shown for hours is over, or too far away. */
function forget({ memory, now, settings }: Sweep): void {
  const before = +now - 3 * settings.warmMinutes * MINUTE_MS;
  for (const [id, { seenAt }] of memory) if (+seenAt < before) memory.delete(id);
}

/** New versions first. One meeting that cannot be read keeps no other from being read. */
async function readNew(given: Sweep, eligible: readonly ListedMeeting[], result: Counts): Promise<void> {
  const { memory, tool, now, settings } = given;
  const about = { listsMissed: tool.listsMissed, now, warmMinutes: settings.warmMinutes };
  const wanted = eligible.filter((meeting) => mustRead(meeting, memory.get(meeting.id), about));
  const isNew = ({ id, version }: ListedMeeting) => memory.get(id)?.version !== version;
  const inOrder = [...wanted.filter(isNew), ...wanted.filter((meeting) => !isNew(meeting))];
  for (let at = 0; at < inOrder.length; at += READ_AT_ONCE) {
    const group = inOrder.slice(at, at + READ_AT_ONCE);
    const read = await Promise.allSettled(group.map((meeting) => readOne(given, meeting)));
    const found = read.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (!(await report(given, found, result))) return noteBus(result);
    const faults = read.flatMap((one): unknown[] => (one.status === "rejected" ? [one.reason] : []));
    for (const fault of faults) noteFault(result, fault);
    if (faults.some((fault) => concernsAll(faultOf(fault))) || found.length === 0) return;
  }
}

interface ReadResult {
  readonly meeting: ListedMeeting;
  readonly bookings: readonly Booking[];
}

async function readOne({ tool, budget, ownAddresses }: Sweep, meeting: ListedMeeting): Promise<ReadResult> {
  const { bookings } = await tool.details(meeting, budget);
  return { meeting, bookings: bookings.filter(({ lead }) => !isOwn(lead.email, ownAddresses)) };
}

/** Remembers only what the bus has accepted, and returns whether it has. */
async function report(
  { workspaceId, memory, now, put }: Sweep,
  found: readonly ReadResult[],
  result: Counts,
): Promise<boolean> {
  const known = found.map(({ meeting, bookings }) => {
    const facts = bookings.map((booking) => bookingFact({ workspaceId, receivedAt: now }, booking));
    const before = memory.get(meeting.id)?.eventIds;
    return { meeting, bookings, facts, news: facts.filter(({ detail }) => !before?.has(detail.eventId)) };
  });
  const news = known.flatMap((one) => one.news);
  if (news.length > 0 && !(await put(news))) return false;
  result.read += known.length;
  result.changed += known.filter((one) => one.news.length > 0).length;
  for (const { meeting, bookings, facts } of known) {
    memory.set(meeting.id, {
      version: meeting.version,
      readAt: now,
      seenAt: now,
      isFinal: bookings.every(({ type }) => type === "meeting.missed" || type === "meeting.cancelled"),
      eventIds: new Set(facts.map(({ detail }) => detail.eventId)),
    });
  }
  return true;
}

/** Anything that a tool does not name is our own fault. */
export const faultOf = (thrown: unknown): SweepFault =>
  thrown instanceof BookingToolFault ? thrown.code : "unexpected_error";

/** A reason that may be logged: the message of any other error may hold values. */
export const reasonOf = (thrown: unknown): string =>
  thrown instanceof BookingToolFault ? thrown.message : String((thrown as Error | undefined)?.name);

/** Whether the whole connection is at fault. The others may concern single meetings. */
export const concernsAll = (fault: SweepFault): boolean => fault !== "unexpected_answer" && fault !== "unavailable";

/** The first fault stands for all, unless a later one concerns the whole connection. */
function noteFault(result: Counts, thrown: unknown): void {
  if (result.fault !== null && !concernsAll(faultOf(thrown))) return;
  result.fault = faultOf(thrown);
  result.reason = reasonOf(thrown);
  result.until = thrown instanceof BookingToolFault ? thrown.until : undefined;
}

function noteBus(result: Counts): void {
  result.fault = "bus_unavailable";
}
