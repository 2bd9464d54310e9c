import type { TouchStatus } from "../../lib/domain/labels.ts";
import { Chance } from "./chance.ts";
import { demoId } from "./demo-id.ts";
import { type PlacedSequence, type PlacedStep, sequenceOf } from "./setting.ts";
import { type Story, storyOf } from "./stories.ts";
import { COMPANY_WORDS, type DemoWorkspace, WORKSPACES } from "./workspaces.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** How often each workspace is chosen, by its index. */
const WORKSPACE_SHARES = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2];
const MAYBE_ARRIVED: readonly TouchStatus[] = ["sent", "unknown", "sending"];

export interface PastTouch {
  readonly step: PlacedStep;
  readonly status: TouchStatus;
  readonly claimedAt: number;
}

/** The identity of a demo lead and its history so far. Instants are in milliseconds since 1970. */
export type LeadHistory = ReturnType<typeof leadHistory>;

/** Decides the identity and the history of one lead. Depends only on `seed`, `number` and `now`. */
export function leadHistory(number: number, seed: number, now: number) {
  const chance = new Chance(seed, number);
  const story = storyOf(number, chance);
  const workspace = workspaceOf(story, chance);
  const person = personOf(number, story, workspace, chance);
  const progress = progressOf(story, workspace, chance, now);
  const messages = messagesOf(story, progress, chance);
  const touches = touchesOf(story, progress, person);
  const reached = touches.filter(({ status }) => MAYBE_ARRIVED.includes(status)).map(({ claimedAt }) => claimedAt);
  return {
    number,
    id: demoId("lead", number),
    story,
    workspace,
    ...person,
    ...progress,
    ...messages,
    touches,
    outboundAt: latestOf(messages.answeredAt, ...reached),
    snoozedUntil: chance.moment(story.snoozed, now),
    recheckAt: chance.moment(story.recheck, now),
    /** When the first step of a second sequence is due. */
    secondDueAt: chance.below(10) === 0 ? now + (2 + chance.below(90)) * HOUR : undefined,
    /** When the meeting of a lead who booked begins, and when the booking was reported. */
    meetingAt: now + (4 + chance.below(300)) * HOUR,
    bookedAt: now - (25 + chance.below(48)) * HOUR,
    postBookingDueAt: chance.below(2) === 0 ? now + (chance.below(2_000) - 200) * MINUTE : undefined,
  };
}

function workspaceOf(story: Story, chance: Chance): DemoWorkspace {
  const index = story.workspace === undefined ? chance.of(WORKSPACE_SHARES) : story.workspace - 1;
  const workspace = WORKSPACES[index];
  if (!workspace) throw new Error(`no demo workspace ${index + 1}`);
  return workspace;
}

function personOf(number: number, { lacks, zone }: Story, { firsts, lasts, elsewhere }: DemoWorkspace, chance: Chance) {
  const firstName = chance.of(firsts);
  const lastName = chance.of(lasts);
  const company = `${chance.of(COMPANY_WORDS.adjectives)} ${chance.of(COMPANY_WORDS.nouns)}`;
  const email = `${asciiOf(`${firstName}.${lastName}`)}.${number}@example.${chance.of(["com", "net", "org"])}`;
  return {
    firstName,
    lastName,
    zone: zone ?? (chance.below(4) === 0 ? chance.of(elsewhere) : undefined),
    company: lacks === "company" ? undefined : company,
    email: lacks === "email" ? undefined : email,
    phone: chance.below(6) === 0 ? undefined : phoneOf(number),
    linkedin: chance.below(3) === 0,
  };
}

const asciiOf = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll("ß", "s")
    .replaceAll("ø", "o")
    .normalize("NFD")
    .replaceAll(/\p{Mark}/gu, "");

/** The numbers 555-0100 to 555-0199 are fictional. Each lead has its own: a shared one would make twins of them. */
const phoneOf = (number: number): string =>
  `+1${200 + (Math.floor(number / 100) % 800)}55501${String(number % 100).padStart(2, "0")}`;

/** The lead's sequence and how far it is in it. */
function progressOf(story: Story, { id }: DemoWorkspace, chance: Chance, now: number) {
  const key = story.sequences.length > 0 ? chance.of(story.sequences) : undefined;
  const sequence = sequenceOf(id, key);
  const steps = sequence?.steps ?? [];
  const position = positionOf(story, sequence, chance);
  /** How many steps are completed. */
  const done = story.reason === "out_of_steps" ? steps.length : Math.min(position - 1, steps.length);
  const elapsed = steps[done - 1]?.elapsed ?? 0;
  const delay = (steps[done]?.minutes ?? 0) * MINUTE;
  const latestSend = now - (1 + chance.below(120)) * MINUTE;
  const plannedDue = chance.moment(story.due, now);
  const repliedAt = chance.moment(story.inbound, now);
  const lastSend = earliestOf(
    latestSend,
    plannedDue === undefined ? undefined : plannedDue - delay,
    repliedAt === undefined ? undefined : repliedAt - 2 * HOUR,
  );
  return {
    sequence,
    position,
    done,
    elapsed,
    dueAt: done > 0 && story.status === "active" ? earliestOf(latestSend + delay, plannedDue) : plannedDue,
    repliedAt,
    /** When the last completed step was sent, otherwise when the lead was enrolled. */
    lastSend,
    enrolledAt: lastSend - elapsed * MINUTE,
  };
}

function positionOf({ position: [from, to] = [1, 1] }: Story, sequence: PlacedSequence | undefined, chance: Chance) {
  const last = Math.min(to, sequence?.steps.length ?? to);
  return from + chance.below(1 + Math.max(last - from, 0));
}

type Progress = ReturnType<typeof progressOf>;

/** A lead in the sequence `setter_reply` has written once before and was answered. */
function messagesOf(story: Story, { repliedAt, sequence, enrolledAt }: Progress, chance: Chance) {
  const minutes = (20 + chance.below(180)) * MINUTE;
  if (repliedAt !== undefined)
    return { inboundAt: repliedAt, answeredAt: story.answered ? repliedAt + minutes : undefined };
  if (sequence?.key !== "setter_reply") return { inboundAt: undefined, answeredAt: undefined };
  return { inboundAt: enrolledAt - 5 * HOUR, answeredAt: enrolledAt - minutes };
}

/** The touches of the completed steps and of the next step. */
function touchesOf(story: Story, progress: Progress, person: { phone?: string | undefined; linkedin: boolean }) {
  const { sequence, position, done, elapsed, lastSend } = progress;
  return (sequence?.steps ?? []).flatMap((step): PastTouch[] => {
    const isReached =
      (step.channel !== "sms" || person.phone !== undefined) &&
      (step.condition !== "linkedin_connected" || person.linkedin);
    const status = statusOf(story, step.position, done, position);
    if (!isReached || !status) return [];
    return [{ step, status, claimedAt: lastSend - Math.max(elapsed - step.elapsed, 0) * MINUTE }];
  });
}

function statusOf({ latest = "sent", current }: Story, place: number, done: number, next: number) {
  if (place < done) return "sent";
  if (place === done) return latest;
  return place === next ? current : undefined;
}

const given = (instants: readonly (number | undefined)[]) => instants.filter((instant) => instant !== undefined);
const earliestOf = (first: number, ...others: readonly (number | undefined)[]) => Math.min(first, ...given(others));

function latestOf(...instants: readonly (number | undefined)[]): number | undefined {
  const known = given(instants);
  return known.length > 0 ? Math.max(...known) : undefined;
}
