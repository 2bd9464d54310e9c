import type { Channel, SequenceTrigger, StepCondition } from "../../lib/domain/labels.ts";

export interface DemoStep {
  /** Delay after the previous step; for the first, after the start. */
  readonly minutes: number;
  readonly channel: Channel;
  readonly subject?: string;
  readonly body: string;
  readonly condition?: StepCondition;
  readonly approval?: boolean;
  /** Time to live in minutes. */
  readonly lives?: number;
}

export interface DemoSequence {
  /** The name that stories use. */
  readonly key: string;
  readonly name: string;
  readonly trigger: SequenceTrigger;
  readonly active?: boolean;
  /** Numbers of the workspaces that have it; by default all. */
  readonly workspaces?: readonly number[];
  readonly steps: readonly DemoStep[];
}

const HOUR = 60;
const DAY = 24 * HOUR;
/** The fallback text for a lead without a company. */
export const COMPANY_OR_TEAM = '{{ lead.company | default: "your team" }}';

/** Realistic sequences. */
const IN_USE: readonly DemoSequence[] = [
  {
    key: "no_response",
    name: "No answer yet",
    trigger: "no_response",
    steps: [
      {
        minutes: 0,
        channel: "email",
        subject: "{{ lead.first_name }}, shall we find a time?",
        body: "Hi {{ lead.first_name }},\n\nthanks for asking about {{ workspace.name }}. Would twenty minutes this week suit you?\n\nBest wishes",
      },
      {
        minutes: 2 * DAY,
        channel: "sms",
        condition: "phone_provided",
        lives: 3 * DAY,
        body: "Hi {{ lead.first_name }}, {{ workspace.name }} here. Did our mail reach you? A short yes or no is enough.",
      },
      {
        minutes: 3 * DAY,
        channel: "email",
        condition: "no_reply",
        subject: "One idea for {{ lead.first_name }}",
        body: `Hi {{ lead.first_name }},\n\none idea that may fit ${COMPANY_OR_TEAM}: let us show you on a call.\n\nBest wishes`,
      },
      {
        minutes: 4 * DAY,
        channel: "task",
        subject: "Call {{ lead.first_name }}",
        body: `Three touches and no answer. Call, then decide whether ${COMPANY_OR_TEAM} is worth more.`,
      },
    ],
  },
  {
    key: "setter_reply",
    name: "After the setter answered",
    trigger: "setter_reply",
    steps: [
      {
        minutes: 4 * HOUR,
        channel: "email",
        subject: "What you asked, {{ lead.first_name }}",
        body: "Hi {{ lead.first_name }},\n\nhere is what you asked for. If it answers your question, pick a time and we talk it through.\n\nBest wishes",
      },
      {
        minutes: DAY,
        channel: "webhook",
        condition: "linkedin_connected",
        body: "A short hello to {{ lead.first_name }} from {{ workspace.name }}.",
      },
      {
        minutes: 2 * DAY,
        channel: "email",
        approval: true,
        subject: "An offer for {{ lead.first_name }}",
        body: `Hi {{ lead.first_name }},\n\nwe put something together for ${COMPANY_OR_TEAM}. May I send it over?\n\nBest wishes`,
      },
      {
        minutes: 3 * DAY,
        channel: "task",
        subject: "Last look at {{ lead.first_name }}",
        body: "They answered once and went quiet. Close the lead, or write by hand.",
      },
    ],
  },
  {
    key: "manual",
    name: "Hand-picked",
    trigger: "manual",
    steps: [
      {
        minutes: 0,
        channel: "email",
        approval: true,
        subject: "A personal note for {{ lead.first_name }}",
        body: `Hi {{ lead.first_name }},\n\nI came across ${COMPANY_OR_TEAM} and thought of you.\n\nBest wishes`,
      },
      {
        minutes: 3 * DAY,
        channel: "sms",
        condition: "phone_provided",
        body: "Hi {{ lead.first_name }}, did my note arrive? Happy to talk whenever it suits you.",
      },
      {
        minutes: 4 * DAY,
        channel: "email",
        subject: "Shall I close the file, {{ lead.first_name }}?",
        body: "Hi {{ lead.first_name }},\n\nI do not want to be a nuisance. Say the word, and I leave it here.\n\nBest wishes",
      },
    ],
  },
  {
    key: "meeting_missed",
    name: "Missed the meeting",
    trigger: "meeting_missed",
    steps: [
      {
        minutes: 30,
        channel: "email",
        subject: "We missed you, {{ lead.first_name }}",
        body: "Hi {{ lead.first_name }},\n\nsomething came up, no harm done. Here is the calendar again.\n\nBest wishes",
      },
      {
        minutes: DAY,
        channel: "sms",
        condition: "phone_provided",
        lives: 2 * DAY,
        body: "Hi {{ lead.first_name }}, shall we try again this week?",
      },
      {
        minutes: 2 * DAY,
        channel: "task",
        subject: "Call {{ lead.first_name }} about the missed meeting",
        body: "No new time after two messages.",
      },
    ],
  },
  {
    key: "meeting_selected",
    name: "Before the meeting",
    trigger: "meeting_selected",
    steps: [
      {
        minutes: 0,
        channel: "email",
        subject: "See you soon, {{ lead.first_name }}",
        body: "Hi {{ lead.first_name }},\n\nyour meeting with {{ workspace.name }} is set. Bring your questions.\n\nBest wishes",
      },
      {
        minutes: DAY,
        channel: "sms",
        condition: "phone_provided",
        body: "Hi {{ lead.first_name }}, a reminder of our meeting. Reply if the time no longer suits you.",
      },
      {
        minutes: DAY,
        channel: "task",
        subject: "Prepare the meeting with {{ lead.first_name }}",
        body: `Read up on ${COMPANY_OR_TEAM}.`,
      },
    ],
  },
  {
    key: "winter_offer",
    name: "Winter offer",
    trigger: "no_response",
    active: false,
    workspaces: [3],
    steps: [
      {
        minutes: 0,
        channel: "email",
        subject: "Winter at {{ workspace.name }}",
        body: "Hi {{ lead.first_name }},\n\nthe first month is on us.\n\nBest wishes",
      },
    ],
  },
];

const email = (subject: string, body: string): DemoStep => ({ minutes: 0, channel: "email", subject, body });

/** Invalid sequences that the database cannot reject. */
const BROKEN: readonly DemoSequence[] = [
  { key: "syntax_error", steps: [email("Hello", "Hi {{ lead.first_name }, this never closes")] },
  { key: "unknown_filter", steps: [email("Hello {{ lead.first_name | shout }}", "No such filter.")] },
  { key: "needs_company", steps: [email("For {{ lead.company }}", "Only for those whose company we know.")] },
  { key: "empty", steps: [] },
].map((sequence) => ({ ...sequence, name: `Broken: ${sequence.key}`, trigger: "manual", workspaces: [3] }));

export const SEQUENCES: readonly DemoSequence[] = [...IN_USE, ...BROKEN];
