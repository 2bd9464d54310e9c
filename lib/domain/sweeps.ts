import type { BookingToolName, SweepWindow } from "./labels.ts";
import { DAY_MS, MINUTE_MS } from "./time-zone.ts";

/** The tools as people know them. */
export const TOOL_NAMES: Readonly<Record<BookingToolName, string>> = {
  calendly: "Calendly",
  calcom: "Cal.com",
  gohighlevel: "GoHighLevel",
};

/** Why a sweep did not read everything, and what to do. */
const FAULT_TEXTS = {
  unauthorised: "the tool refuses the API token: store a new one in the secret of the connection",
  throttled: "the tool allows no more calls for now",
  unavailable: "the tool does not answer",
  unexpected_answer: "the tool answers otherwise than it documents",
  unread_meetings: "the tool lists meetings that cannot be read; all others were compared",
  out_of_budget: "there are more meetings than one sweep may read; the next one continues",
  invalid_secret: "the secret of the connection is not valid",
  secret_unavailable: "the secret of the connection cannot be read",
  bus_unavailable: "the event bus did not accept what was found",
  unexpected_error: "Backstop failed; its log says how",
} as const;
export type SweepFault = keyof typeof FAULT_TEXTS;

/** A person must act on these, so that waiting does not help. */
const NEEDS_A_PERSON: ReadonlySet<string> = new Set<SweepFault>(["unauthorised", "invalid_secret"]);

/** The fault in words. A newer edge function may report a label that is unknown here. */
const sweepFaultText = (fault: string): string =>
  Object.hasOwn(FAULT_TEXTS, fault) ? FAULT_TEXTS[fault as SweepFault] : fault.replaceAll("_", " ");

const toolName = (tool: string): string =>
  Object.hasOwn(TOOL_NAMES, tool) ? TOOL_NAMES[tool as BookingToolName] : tool;

/** The stored state of the sweeps of one window of a connection. */
export interface SweepState {
  readonly tool: string;
  readonly window: SweepWindow;
  /** Begin of the latest sweep that read everything; without one, of the first. */
  readonly since: Date;
  readonly triedAt: Date;
  /** The fault of the latest sweep; null if it read everything. */
  readonly fault: string | null;
}

/** A fault that may pass by itself is worth a message after an hour. */
const REPORTED_AFTER_MS = 60 * MINUTE_MS;

/** Whether a person should hear of the failing sweep. */
export const isWorthReporting = ({ fault, since, triedAt }: SweepState): boolean =>
  fault !== null && (NEEDS_A_PERSON.has(fault) || +triedAt - +since >= REPORTED_AFTER_MS);

/** The state in one sentence. Holds no personal data. */
export function sweepText({ tool, window, since, triedAt, fault }: SweepState, now: Date): string {
  const meetings = window === "hot" ? "meetings that start soon" : "later and past meetings";
  const known = `${toolName(tool)}, ${meetings}: compared ${minutesText(+now - +since)} ago`;
  if (fault !== null) return `${known}; since then ${sweepFaultText(fault)}`;
  return isSilent({ triedAt }, now) ? `${known}; no sweep was reported since` : known;
}

/** How late a booking may be known, by the age of the oldest comparison with a booking tool. */
export const sweepAgeText = (ageSeconds: number): string =>
  `bookings without a webhook are known after at most ${minutesText(ageSeconds * 1_000)}`;

const minutesText = (ms: number): string => `${Math.ceil(Math.max(0, ms) / MINUTE_MS)} min`;

/** Longer than the longest pause after failures. */
const SILENT_AFTER_MS = 3 * 60 * MINUTE_MS;

/** Whether the window should have been swept again: the function does not run, or the connection was removed. */
export const isSilent = ({ triedAt }: Pick<SweepState, "triedAt">, now: Date): boolean =>
  +now - +triedAt > SILENT_AFTER_MS;

/** The digest's line about a failing connection. */
export const failingText = ({ tool, since, fault }: SweepState): string =>
  `${toolName(tool)} was last read at ${since.toISOString()}: ${sweepFaultText(fault ?? "")}`;

/** A connection that has reported no sweep since counts as removed. */
export const countsFrom = (now: Date): Date => new Date(+now - DAY_MS);
