import { clockOf, type SendWindow } from "./calendar.ts";
import { ADDRESS_OF_CHANNEL, type SequenceTrigger } from "./labels.ts";
import { UNSUBSCRIBE_OUTPUT, writesSlots } from "./late-values.ts";
import { LEAD_COLUMNS, TEMPLATE_KEYS, type TemplateKey, type TemplateLead } from "./lead-columns.ts";
import { FIELD_NAME_PATTERN } from "./lead-fields.ts";
import type { SendYear } from "./send-year.ts";
import { render } from "./templates.ts";
import { MINUTE_MS, MINUTES_PER_DAY } from "./time-zone.ts";
import { SAMPLE_LEAD, type WrittenSequence, type WrittenStep } from "./written-sequence.ts";

export const ADVICE_KINDS = [
  "never_sent",
  "may_expire",
  "value_missing",
  "nothing_starts",
  "no_unsubscribe_link",
  "no_free_times",
] as const;

/** Something in a valid sequence that its author may not expect. */
export interface Advice {
  readonly kind: (typeof ADVICE_KINDS)[number];
  readonly sequence: string;
  /** The key of the step; null if it is about the sequence. */
  readonly step: string | null;
  /** The effect, its cause and the remedy. */
  readonly text: string;
}

/** The values of leads that sequences use. */
export interface UsedValues {
  readonly keys: readonly TemplateKey[];
  /** Names of custom fields. */
  readonly fields: readonly string[];
}

/** How many leads have exactly these of the used values. */
export interface LeadsByValues extends Pick<UsedValues, "keys" | "fields"> {
  readonly leads: number;
}

/** The state of a sequence that may never start. */
interface Starts {
  /** Whether a lead is or was in it. */
  readonly hadLeads: boolean;
  /** Whether a meeting was ever reported for the workspace. */
  readonly hasMeetings: boolean;
}

/** Steps that expire before the send window opens. */
export function timeAdvice({ name, steps }: WrittenSequence, year: SendYear): readonly Advice[] {
  return steps.flatMap((step, index): Advice[] => {
    const share = year.expiringShare(step, index === 0);
    if (share === 0) return [];
    const lives = hours((step.timeToLiveMinutes ?? 0) * MINUTE_MS);
    const about = { sequence: name, step: step.key };
    if (share === 1) {
      const text = `can never go: its time to live (${lives}) is over before the send window opens again`;
      return [{ kind: "never_sent", ...about, text: `${text}; give it a longer one, or another delay` }];
    }
    const text = `expires unsent at about ${percent(share)} of its possible due times: its time to live (${lives}) is no longer`;
    return [
      {
        kind: "may_expire",
        ...about,
        text: `${text} than the longest time without sending (${hours(year.longestClosed)})`,
      },
    ];
  });
}

interface Pauses {
  readonly gapMinutes: number;
  readonly sendWindow: SendWindow;
}

/**
 * Steps that expire, in every time zone, whenever the step before them was sent: the lead may not be reached again so
 * soon. Leaves out what depends on the day. Throws RangeError for an invalid window.
 */
export function pauseAdvice({ name, steps }: WrittenSequence, pauses: Pauses): readonly Advice[] {
  return steps.flatMap((step, index): Advice[] => {
    const before = steps[index - 1];
    const cause = before && pauseOutlasting(step, before, pauses);
    if (!cause) return [];
    const text = `expires unsent whenever step ${before.key} was sent: ${cause}`;
    return [
      { kind: "may_expire", sequence: name, step: step.key, text: `${text}; give it a longer delay or time to live` },
    ];
  });
}

/** A clock change makes a day of a delay, or an evening, shorter by at most this. */
const CLOCK_CHANGE_MINUTES = 60;

function pauseOutlasting(
  step: WrittenStep,
  before: WrittenStep,
  { gapMinutes, sendWindow }: Pauses,
): string | undefined {
  if (step.timeToLiveMinutes === null) return undefined;
  const lives = step.delayMinutes + step.timeToLiveMinutes;
  const ends = lives + (step.delayMinutes < MINUTES_PER_DAY ? 0 : CLOCK_CHANGE_MINUTES);
  if (ends <= gapMinutes)
    return `the gap between two touches (${hours(gapMinutes * MINUTE_MS)}) is no shorter than both`;
  const { start, end } = sendWindow;
  const isSameDay = start < end && clockOf(end) / MINUTE_MS + lives + CLOCK_CHANGE_MINUTES <= MINUTES_PER_DAY;
  return step.channel === before.channel && isSameDay ? "a channel reaches a lead once a day" : undefined;
}

const hours = (milliseconds: number): string => {
  const minutes = Math.round(milliseconds / MINUTE_MS);
  return minutes % 60 === 0 || minutes > 600 ? `${Math.round(minutes / 60)} hours` : `${minutes} minutes`;
};
const percent = (share: number): string => (share < 0.01 ? "1 %" : `${Math.round(share * 100)} %`);

/** The values that texts, conditions and channels of the sequences may read. */
export function valuesUsed(sequences: readonly WrittenSequence[]): UsedValues {
  const texts = sequences.flatMap(({ steps }) => steps.map(({ subject, body }) => `${subject} ${body}`)).join(" ");
  const keys = TEMPLATE_KEYS.filter((key) => ADDRESSES.has(key) || texts.includes(`lead.${LEAD_COLUMNS[key].column}`));
  return { keys, fields: [...new Set([...texts.matchAll(FIELD)].map(([, name = ""]) => name))] };
}
const ADDRESSES: ReadonlySet<string | null> = new Set(Object.values(ADDRESS_OF_CHANNEL));
const FIELD = new RegExp(`lead\\.fields\\.(${FIELD_NAME_PATTERN})`, "g");

/** Values that a text needs and that leads lack, with the number of leads for which the step pauses. */
export function valueAdvice(sequence: WrittenSequence, population: readonly LeadsByValues[]): readonly Advice[] {
  const total = population.reduce((sum, { leads }) => sum + leads, 0);
  return sequence.steps.flatMap((step) => {
    const lacking = new Map<string, number>();
    for (const group of population) {
      if (!reaches(step, group)) continue;
      for (const name of namesMissing(step, group)) lacking.set(name, (lacking.get(name) ?? 0) + group.leads);
    }
    return [...lacking].map(([name, leads]): Advice => {
      const text = `pauses for ${leads} of ${total} leads, which lack ${name}: give it a default, or add the values`;
      return { kind: "value_missing", sequence: sequence.name, step: step.key, text };
    });
  });
}

/** Whether the step is not skipped for leads with these values. */
function reaches({ channel, condition }: WrittenStep, { keys }: UsedValues): boolean {
  const address = ADDRESS_OF_CHANNEL[channel];
  return (!address || keys.includes(address)) && (condition !== "phone_provided" || keys.includes("phone"));
}

function namesMissing(step: WrittenStep, { keys, fields }: UsedValues): readonly string[] {
  const values = TEMPLATE_KEYS.map((key) => [key, keys.includes(key) ? SAMPLE_LEAD[key] : null]);
  const texts = Object.fromEntries(fields.map((name) => [name, name]));
  const lead: TemplateLead = { ...SAMPLE_LEAD, ...Object.fromEntries(values), fields: texts };
  const rendered = render(step, lead, { name: "a workspace" });
  return rendered.kind === "missing" ? rendered.names.filter((name) => name.startsWith("lead.")) : [];
}

/** Texts that need an unsubscribe link, on a stage without them. */
export const linkAdvice = ({ name, steps }: WrittenSequence): readonly Advice[] =>
  steps.filter(needsLink).map(({ key }): Advice => {
    const text = `fails as no_unsubscribe_link, because this stage has no unsubscribe links: ${HOW_TO_GET_LINKS}`;
    return { kind: "no_unsubscribe_link", sequence: name, step: key, text };
  });

/** Texts that offer times, in a workspace for which no booking tool has reported any. */
export const slotAdvice = ({ name, steps }: WrittenSequence): readonly Advice[] =>
  steps.filter(writesSlots).map(({ key }): Advice => {
    const text = `waits as availability_outdated, because no booking tool reports free times: ${HOW_TO_GET_TIMES}`;
    return { kind: "no_free_times", sequence: name, step: key, text };
  });

const HOW_TO_GET_TIMES = "run connect with --event-type, or send the event connection.availability";

/** May also be true for a text that only quotes the link. */
const needsLink = ({ subject, body }: WrittenStep): boolean => WITH_LINK.test(`${subject ?? ""} ${body}`);
const WITH_LINK = new RegExp(UNSUBSCRIBE_OUTPUT);

export const HOW_TO_GET_LINKS = "add `webhooks` to the stage, or `unsubscribe.url` with a page of your own";

const STARTED_BY: Readonly<Record<SequenceTrigger, string>> = {
  manual: "only an enrolment starts it, and no lead was ever in it: use leads import, or the event lead.enrolled",
  no_response: "no lead was ever in it: use leads import, or report what your people do with the event lead.contacted",
  setter_reply: "no lead was ever in it: report what your people do with the event lead.contacted, or use leads import",
  meeting_selected: "no meeting was ever reported for this workspace: report bookings with the event meeting.booked",
  meeting_missed: "no meeting was ever reported for this workspace: report no-shows with the event meeting.missed",
};

/** An active sequence that nothing has started, and nothing known will. */
export function startAdvice({ name, triggerOn, active }: WrittenSequence, starts: Starts): readonly Advice[] {
  const isOfMeetings = triggerOn === "meeting_selected" || triggerOn === "meeting_missed";
  if (!active || starts.hadLeads || (isOfMeetings && starts.hasMeetings)) return [];
  return [{ kind: "nothing_starts", sequence: name, step: null, text: STARTED_BY[triggerOn] }];
}
