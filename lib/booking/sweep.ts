import type { SweepWindow } from "../domain/labels.ts";
import type { SweepFault } from "../domain/sweeps.ts";
import { MINUTE_MS } from "../domain/time-zone.ts";
import { bookingFact, isOwn } from "../inbound/booking-facts.ts";
import type { TranslatedFact } from "../inbound/translation.ts";
import { mustRead, type ReadMeeting, rangesOf, type SweepSettings, windowOf } from "./eligibility.ts";
import {
  type BookingTool,
  BookingToolFault,
  type CallBudget,
  type ListedMeeting,
  type ListParts,
  type MeetingDetails,
  type Unread,
  unreadBecause,
} from "./port.ts";

interface KnownMeeting extends ReadMeeting {
  /** Event ids of facts that the bus has accepted. */
  readonly eventIds: ReadonlySet<string>;
  /** When a sweep last listed it. */
  seenAt: Date;
}

/** A comparison that takes several sweeps, because the list has more parts than one of them may read. */
interface Round {
  readonly begun: Date;
  /** The parts that are left, by the place of their range. */
  readonly rest: Map<number, ListParts>;
  readonly unread: Unread[];
}

/** The known meetings of a connection, in the memory of the process. Losing it repeats facts, which changes nothing. */
export class SweepMemory {
  readonly meetings = new Map<string, KnownMeeting>();
  /** When the people of a meeting could last not be read. */
  readonly failedAt = new Map<string, Date>();
  readonly rounds = new Map<SweepWindow, Round>();
}

/** Puts facts on the bus. Returns whether it accepted all. Never rejects. */
export type PutFacts = (facts: readonly TranslatedFact[]) => Promise<boolean>;

interface Sweep {
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
  /** Meetings and calendars that cannot be read. */
  readonly unread: readonly Unread[];
  /** When the comparison began: this sweep, or an earlier one that it continues. */
  readonly begun: Date;
  /** Whether it did work that the next sweep need not repeat. */
  readonly hasAdvanced: boolean;
  readonly fault: SweepFault | null;
  /** The fault as a text. Holds no personal data. */
  readonly reason?: string;
  /** The tool accepts no call before this time. */
  readonly until?: Date | undefined;
}
type Result = { -readonly [Key in keyof SweepResult]: SweepResult[Key] };

/** Meetings read at once: few enough to lose little if the process dies, and not to flood the tool. */
const READ_AT_ONCE = 5;

/**
 * Compares one window of a connection with the known meetings. Puts a fact on the bus for each new or changed booking.
 * Never rejects for a fault of the tool: the result names it, and what was found before it is on the bus. An
 * unreadable meeting does not affect the others, but the sweep has a fault.
 */
export async function sweep(given: Sweep): Promise<SweepResult> {
  const { memory, window, now } = given;
  const round = memory.rounds.get(window) ?? { begun: now, rest: new Map(), unread: [] };
  const result: Result = { ...NOTHING, unread: [], begun: round.begun };
  try {
    await readParts(given, round, result);
    if (result.fault === null) forget(given);
  } catch (thrown) {
    noteFault(result, thrown);
  }
  if (result.fault === "out_of_budget" && round.rest.size > 0) memory.rounds.set(window, round);
  else memory.rounds.delete(window);
  if (result.fault === null) noteUnread(given, result);
  return result;
}

export const NOTHING = { seen: 0, read: 0, changed: 0, hasAdvanced: false, fault: null } as const;

/** Each part of the list with its people before the next part. Stops at the first fault of the whole connection. */
async function readParts(given: Sweep, round: Round, result: Result): Promise<void> {
  const { tool, window, now, settings, budget } = given;
  const seen = new Set<string>();
  for (const [place, range] of rangesOf(window, now, settings).entries()) {
    let parts = round.rest.get(place);
    while (parts === undefined || parts.length > 0) {
      const list = await tool.meetings(range, budget, parts);
      const eligible = list.meetings.filter((meeting) => windowOf(meeting, now, settings) === window);
      for (const { id } of eligible) seen.add(id);
      result.seen = seen.size;
      const unread = [...list.unread, ...(await readPart(given, eligible, result))];
      result.unread = [...round.unread, ...unread];
      if (result.fault !== null) return;
      round.unread.push(...unread);
      parts = list.rest;
      round.rest.set(place, parts);
      result.hasAdvanced = true;
    }
  }
}

/** New versions first, and last those that could not be read before. Returns those that cannot be read now. */
async function readPart(given: Sweep, eligible: readonly ListedMeeting[], result: Result): Promise<readonly Unread[]> {
  const { memory, tool, now, settings } = given;
  for (const { id } of eligible) markSeen(given, id);
  const about = { listsMissed: tool.listsMissed, now, warmMinutes: settings.warmMinutes };
  const wanted = eligible.filter((meeting) => mustRead(meeting, memory.meetings.get(meeting.id), about));
  const turnOf = ({ id, version }: ListedMeeting) =>
    Number(memory.failedAt.get(id) ?? (memory.meetings.get(id)?.version === version ? 1 : 0));
  const inOrder = wanted.toSorted((one, other) => turnOf(one) - turnOf(other));
  const unread: Unread[] = [];
  for (let at = 0; at < inOrder.length && result.fault === null; at += READ_AT_ONCE) {
    unread.push(...(await readGroup(given, inOrder.slice(at, at + READ_AT_ONCE), result)));
  }
  return unread;
}

async function readGroup(given: Sweep, group: readonly ListedMeeting[], result: Result): Promise<readonly Unread[]> {
  const read = await Promise.allSettled(group.map((meeting) => readOne(given, meeting)));
  const found = read.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  if (!(await report(given, found, result))) result.fault = "bus_unavailable";
  const unread = read.flatMap((one, at): readonly Unread[] => {
    const id = group[at]?.id;
    return one.status === "fulfilled"
      ? one.value.unread.map((person) => ({ ...person, id }))
      : ofOne(id, one.reason, result);
  });
  for (const { id } of unread) if (id !== undefined) given.memory.failedAt.set(id, given.now);
  if (group.length === READ_AT_ONCE && unread.filter(({ fault }) => fault === "unavailable").length === group.length) {
    for (const one of read) if (one.status === "rejected") noteFault(result, one.reason);
  }
  return unread;
}

/** Notes the fault instead if it concerns the whole connection. */
function ofOne(id: string | undefined, thrown: unknown, result: Result): readonly Unread[] {
  try {
    return [unreadBecause(id, thrown)];
  } catch {
    noteFault(result, thrown);
    return [];
  }
}

interface ReadResult extends MeetingDetails {
  readonly meeting: ListedMeeting;
}

async function readOne({ tool, budget, ownAddresses }: Sweep, meeting: ListedMeeting): Promise<ReadResult> {
  const { bookings, unread } = await tool.details(meeting, budget);
  return { meeting, bookings: bookings.filter(({ lead }) => !isOwn(lead.email, ownAddresses)), unread };
}

/** Remembers only what the bus has accepted, and returns whether it has. */
async function report(
  { workspaceId, memory, now, put }: Sweep,
  found: readonly ReadResult[],
  result: Result,
): Promise<boolean> {
  const known = found.map((one) => {
    const facts = one.bookings.map((booking) => bookingFact({ workspaceId, receivedAt: now }, booking));
    const before = memory.meetings.get(one.meeting.id)?.eventIds;
    return { ...one, facts, news: facts.filter(({ detail }) => !before?.has(detail.eventId)) };
  });
  const news = known.flatMap((one) => one.news);
  if (news.length > 0 && !(await put(news))) return false;
  result.read += known.length;
  result.changed += known.filter((one) => one.news.length > 0).length;
  if (known.length > 0) result.hasAdvanced = true;
  for (const { meeting, bookings, unread, facts } of known) {
    memory.failedAt.delete(meeting.id);
    memory.meetings.set(meeting.id, {
      version: unread.length === 0 ? meeting.version : undefined,
      readAt: now,
      seenAt: now,
      isFinal: bookings.every(({ type }) => type === "meeting.missed" || type === "meeting.cancelled"),
      eventIds: new Set(facts.map(({ detail }) => detail.eventId)),
    });
  }
  return true;
}

function markSeen({ memory, now }: Sweep, id: string): void {
  const known = memory.meetings.get(id);
  if (known) known.seenAt = now;
}

/** A meeting that neither window has shown for hours is over, or too far away. */
function forget({ memory: { meetings, failedAt }, now, settings }: Sweep): void {
  const before = +now - 3 * settings.warmMinutes * MINUTE_MS;
  for (const [id, { seenAt }] of meetings) if (+seenAt < before) meetings.delete(id);
  for (const [id, at] of failedAt) if (+at < before) failedAt.delete(id);
}

/** Any other error is a bug in Backstop. */
export const faultOf = (thrown: unknown): SweepFault =>
  thrown instanceof BookingToolFault ? thrown.code : "unexpected_error";

/** A reason that may be logged: the message of any other error may hold values. */
export const reasonOf = (thrown: unknown): string =>
  thrown instanceof BookingToolFault ? thrown.message : String((thrown as Error | undefined)?.name);

const OF_SOME: ReadonlySet<SweepFault> = new Set(["unread_meetings", "unexpected_answer", "unavailable"]);
/** Whether the whole connection is at fault. The others may concern single meetings. */
export const concernsAll = (fault: SweepFault): boolean => !OF_SOME.has(fault);

/** The first fault stands for all, unless a later one concerns the whole connection. */
function noteFault(result: Result, thrown: unknown): void {
  if (result.fault !== null && !concernsAll(faultOf(thrown))) return;
  result.fault = faultOf(thrown);
  result.reason = reasonOf(thrown);
  result.until = thrown instanceof BookingToolFault ? thrown.until : undefined;
}

/** If the tool refuses or answers for no meeting at all, the connection is at fault, and not the meetings. */
function noteUnread({ memory }: Sweep, result: Result): void {
  const [first] = result.unread;
  if (!first) return;
  const isRead = ({ version, seenAt }: KnownMeeting) => version !== undefined && seenAt >= result.begun;
  const isRefused = result.unread.every(({ fault }) => fault !== "unexpected_answer");
  const canRead = result.read > 0 || [...memory.meetings.values()].some(isRead);
  result.fault = isRefused && !canRead ? first.fault : "unread_meetings";
  result.reason = first.reason;
}
