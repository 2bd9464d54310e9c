import * as z from "zod";
import {
  ADVICE_KINDS,
  type Advice,
  linkAdvice,
  pauseAdvice,
  slotAdvice,
  startAdvice,
  timeAdvice,
  valueAdvice,
  valuesUsed,
} from "../domain/advice.ts";
import { holidayCalendar, loadHolidays } from "../domain/holidays.ts";
import { SendYear } from "../domain/send-year.ts";
import { isKnownSequence, type WrittenSequence } from "../domain/written-sequence.ts";
import { hasAvailability, hasMeetings, namesWithLeads, readLeadsByValues } from "../store/advice-facts.ts";
import { haveUnsubscribeLinks } from "../store/run-history.ts";
import type { Queryable } from "../store/sql.ts";
import { findStoredSequences } from "../store/stored-sequences.ts";
import { readWorkspaceSettings, type StoredSettings } from "../store/workspaces.ts";

export const adviceAnswer = z.array(
  z.object({ kind: z.enum(ADVICE_KINDS), sequence: z.string(), step: z.string().nullable(), text: z.string() }),
);

type SendTimes = Pick<StoredSettings, "timeZone" | "sendWindow" | "holidays" | "gapMinutes">;

/**
 * Steps that expire before the send window opens, in the workspace's zone, or before a lead may be reached again. None
 * if the send times are invalid.
 */
export async function adviceOnTimes(
  sequences: readonly WrittenSequence[],
  times: SendTimes,
  now: Date,
): Promise<Advice[]> {
  const mayExpire = sequences.some(({ steps }) => steps.some((step) => step.timeToLiveMinutes !== null));
  const year = mayExpire ? await sendYear(times, now) : undefined;
  if (!year) return [];
  return sequences.flatMap((sequence) => {
    const onTimes = timeAdvice(sequence, year);
    const known = onTimes.map(({ step }) => step);
    return [...onTimes, ...pauseAdvice(sequence, times).filter(({ step }) => !known.includes(step))];
  });
}

async function sendYear({ timeZone, sendWindow, holidays }: SendTimes, now: Date): Promise<SendYear | undefined> {
  if (holidays.country !== null) await loadHolidays();
  try {
    const isHoliday = holidayCalendar(holidays.country, holidays.region, holidays.own, holidays.working);
    return new SendYear({ zone: timeZone, window: sendWindow, isHoliday }, now);
  } catch (thrown) {
    // Only rows that were changed by SQL; `decide` holds them by name.
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

/** All advice on sequences of a workspace, stored or not. */
export async function adviceOn(
  db: Queryable,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
  now: Date,
): Promise<Advice[]> {
  const settings = await readWorkspaceSettings(db, workspaceId);
  const onTimes = settings ? await adviceOnTimes(sequences, settings, now) : [];
  const onLinks = (await haveUnsubscribeLinks(db)) === false ? sequences.flatMap(linkAdvice) : [];
  const offering = sequences.flatMap(slotAdvice);
  const onSlots = offering.length > 0 && !(await hasAvailability(db, workspaceId)) ? offering : [];
  return [...onTimes, ...onLinks, ...onSlots, ...(await adviceOnLeads(db, workspaceId, sequences))];
}

/** The active sequences of a workspace, as they are stored, except those with labels that only newer code knows. */
export async function activeSequences(db: Queryable, workspaceId: string): Promise<readonly WrittenSequence[]> {
  const stored = await findStoredSequences(db, workspaceId);
  return stored.flatMap(({ written }) => (written?.active && isKnownSequence(written) ? [written] : []));
}

/** Values of texts that leads of the workspace lack, and sequences that nothing starts. */
async function adviceOnLeads(
  db: Queryable,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
): Promise<Advice[]> {
  const population = await readLeadsByValues(db, workspaceId, valuesUsed(sequences));
  const names = sequences.map(({ name }) => name);
  const started = await namesWithLeads(db, workspaceId, names);
  const meetings = await hasMeetings(db, workspaceId);
  return sequences.flatMap((sequence) => [
    ...valueAdvice(sequence, population),
    ...startAdvice(sequence, { hadLeads: started.has(sequence.name), hasMeetings: meetings }),
  ]);
}
