import { Liquid, type Template } from "liquidjs";
import type { Temporal } from "temporal-polyfill";
import { localDayOf } from "./calendar.ts";
import type { NotificationKind } from "./labels.ts";
import { once } from "./once.ts";
import type { Message } from "./templates.ts";
import { zonedDateTime, zoneOrUtc } from "./time-zone.ts";

export interface DigestSection {
  /** `MISSING_DATA`, a label of `NOTIFICATION_KINDS`, or an unknown one if the database is newer than this code. */
  readonly kind: string;
  readonly count: number;
  /** A sample, latest first. */
  readonly examples: readonly DigestExample[];
}

/** The lead of an event, and its details. */
export interface DigestExample {
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly company: string | null;
  /** The channel of a touch and the reason for its state; or a sequence and what it lacks. */
  readonly channel: string | null;
  readonly reason: string | null;
  /** The text to show instead, for an event without a lead. */
  readonly detail: string | null;
}

/** The contents of a digest. */
export interface DigestContents {
  readonly workspaceName: string;
  readonly sections: readonly DigestSection[];
}

/** The section that lists what is paused because a value is missing. Each digest repeats it until it is repaired. */
export const MISSING_DATA = "missing_data";

/** A digest as an e-mail, with the same content as text and HTML. */
interface DigestMail extends Message {
  readonly subject: string;
  readonly html: string;
}

/** For the built-in templates below. Workspace templates use a smaller language. */
const liquid = new Liquid({ strictVariables: true, strictFilters: true, locale: "en-US", templates: {} });
/** Parsed when the first digest is written: most runs write none. */
const parsed = (template: string): (() => Template[]) => once(() => liquid.parse(template));

const TITLES: Readonly<Record<NotificationKind | typeof MISSING_DATA, string>> = {
  meeting_booked: "Meetings booked",
  lead_replied: "Replies of leads",
  approval_waiting: "Texts put up for approval",
  touch_failed: "Touches that failed",
  touch_unknown: "Touches that may or may not have gone out",
  backstop_completed: "Sequences of booked leads that the backstop ended",
  lead_created: "Leads added by a booking, reply or opt-out of an unknown person",
  fact_warned: "Events that were applied with warnings, and started nothing",
  guardrail_paused: "Sending paused by the guardrail, until a person resumes it",
  connection_failing: "Booking tools that cannot be read: bookings without a webhook stay unknown",
  [MISSING_DATA]: "Leads that wait for a missing value, until it is added",
};

const isKnown = (kind: string): kind is keyof typeof TITLES => Object.hasOwn(TITLES, kind);
const titleOf = (kind: string): string => (isKnown(kind) ? TITLES[kind] : kind.replaceAll("_", " "));

const SUBJECT = parsed(
  "{{ workspace }}: {{ sections.first.title }} {{ sections.first.count }}{% if sections.size > 1 %}, and more{% endif %}",
);

const TEXT = parsed(`{{ workspace }}
{% for section in sections %}
{{ section.title }}: {{ section.count }}
{%- for line in section.lines %}
- {{ line }}
{%- endfor %}
{%- if section.more > 0 %}
- and {{ section.more }} more
{%- endif %}
{% endfor %}`);

const HTML = parsed(`<!doctype html>
<html><body>
<h1>{{ workspace | escape }}</h1>
{%- for section in sections %}
<h2>{{ section.title | escape }}: {{ section.count }}</h2>
{%- if section.lines.size > 0 %}
<ul>
{%- for line in section.lines %}
<li>{{ line | escape }}</li>
{%- endfor %}
{%- if section.more > 0 %}
<li>and {{ section.more }} more</li>
{%- endif %}
</ul>
{%- endif %}
{%- endfor %}
</body></html>
`);

const rendered = (template: () => Template[], values: object): string => liquid.renderSync(template(), values);

/** A digest as an e-mail. Names cannot inject headers or tags. */
export function digestMail(contents: DigestContents): DigestMail {
  const values = valuesOf(contents, (text) => text);
  return {
    subject: rendered(SUBJECT, values),
    body: rendered(TEXT, values),
    html: rendered(HTML, values),
  };
}

/** A digest as Slack message text. Names cannot inject links or mentions. */
export function digestSlackText(contents: DigestContents): string {
  return rendered(TEXT, valuesOf(contents, escapedForSlack));
}

/** Slack, "Formatting text for app surfaces": escape only these three characters. */
const escapedForSlack = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function valuesOf({ workspaceName, sections }: DigestContents, escaped: (text: string) => string) {
  return {
    workspace: escaped(oneLine(workspaceName)),
    sections: sections.map(({ kind, count, examples }) => ({
      title: titleOf(kind),
      count,
      lines: examples.map((example) => escaped(lineOf(example))),
      more: examples.length === 0 ? 0 : count - examples.length,
    })),
  };
}

function lineOf({ firstName, lastName, company, channel, reason, detail }: DigestExample): string {
  if (detail !== null) return oneLine(detail, LONGEST_DETAIL);
  const name = [firstName, lastName].map((part) => oneLine(part ?? "")).filter((part) => part !== "");
  const who = [name.join(" ") || "a lead without a name", oneLine(company ?? "")].filter((part) => part !== "");
  const how = [channel, reason].filter((part) => part !== null);
  return who.join(", ") + (how.length > 0 ? ` (${how.join(": ")})` : "");
}

const LONGEST = 120;
const LONGEST_DETAIL = 500;

/** Replaces line breaks and control characters, and truncates to `longest` characters. */
function oneLine(text: string, longest = LONGEST): string {
  const line = text.replace(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
  const characters = Array.from(line);
  return characters.length > longest ? `${characters.slice(0, longest).join("")}…` : line;
}

/** When a workspace receives its digest. */
export interface DigestTime {
  /** Such as `08:00`. */
  readonly time: string;
  readonly zone: string;
}

/** The result of closing a workspace's open window. */
export interface DigestWindow {
  /** The end of the window if it closed: the digest covers events before this instant. Null if it stays open. */
  readonly end: Date | null;
  /** The end of the window that is open now. */
  readonly nextEnd: Date;
}

/** The open window of a workspace, as stored. */
export interface OpenWindow extends DigestTime {
  /** Null until computed, and after the time or zone changes. */
  readonly end: Date | null;
  /** The end of the last window that contained events. */
  readonly lastReported: Date | null;
}

/**
 * Closes the window if its end has passed, and computes the next end. After an outage, one window spans all missed
 * days. A window without a stored end stays open; its new end is not on a local day that already had a digest.
 */
export function closeWindow({ end, lastReported, ...given }: OpenWindow, now: Date): DigestWindow {
  const digest = { ...given, zone: zoneOrUtc(given.zone) };
  const nextEnd = nextDigest(now, digest);
  if (end !== null) return { end: end <= now ? latestDigest(now, digest) : null, nextEnd };
  const reportedThatDay =
    lastReported !== null && localDayOf(lastReported, digest.zone) === localDayOf(nextEnd, digest.zone);
  return { end: null, nextEnd: reportedThatDay ? nextDigest(nextEnd, digest) : nextEnd };
}

/**
 * The first digest time after the instant. Each local day has one. If the clock skips the time, the digest moves by the
 * length of the jump. If the clock repeats the time, the first one counts. Throws RangeError for an invalid zone.
 */
export function nextDigest(after: Date, digest: DigestTime): Date {
  let day = dayBefore(after, digest.zone);
  for (;;) {
    const at = digestOn(day, digest);
    if (at > after) return at;
    day = day.add({ days: 1 });
  }
}

/** The last digest time at or before the instant. */
function latestDigest(upTo: Date, digest: DigestTime): Date {
  let day = dayBefore(upTo, digest.zone).add({ days: 2 });
  for (;;) {
    const at = digestOn(day, digest);
    if (at <= upTo) return at;
    day = day.subtract({ days: 1 });
  }
}

const dayBefore = (instant: Date, zone: string): Temporal.PlainDate =>
  zonedDateTime(instant.getTime(), zone).toPlainDate().subtract({ days: 1 });

const digestOn = (day: Temporal.PlainDate, { time, zone }: DigestTime): Date =>
  new Date(day.toZonedDateTime({ timeZone: zone, plainTime: time }).epochMilliseconds);
