import type { TouchStatus } from "../../lib/domain/labels.ts";
import { demoId } from "./demo-id.ts";
import type { LeadHistory, PastTouch } from "./lead-history.ts";
import { COMPANY_OR_TEAM } from "./sequences.ts";
import { sequenceOf } from "./setting.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const at = (instant: number | undefined) => (instant === undefined ? undefined : new Date(instant).toISOString());

const idsOf = ({ id, workspace }: LeadHistory) => ({ workspace_id: workspace.id, lead_id: id });
const instanceId = (number: number) => demoId("instance", number * 4);
const touchId = (number: number, { step }: PastTouch) => demoId("touch", number * 64 + step.position);

/** Leads as before their booking. */
export const leadRows = (lead: LeadHistory, now: number) => [
  {
    id: lead.id,
    workspace_id: lead.workspace.id,
    first_name: lead.firstName,
    last_name: lead.lastName,
    company: lead.company,
    email: lead.email,
    phone: lead.phone,
    linkedin_url: lead.linkedin ? `https://linkedin.example/in/${lead.number}` : undefined,
    linkedin_connected_at: lead.linkedin ? at(lead.enrolledAt - 2 * DAY) : undefined,
    time_zone: lead.zone,
    status: lead.story.standing ?? "new",
    automation_enabled: lead.story.automation ?? true,
    opted_out_at: lead.story.optedOut ? at(now - 2 * HOUR) : undefined,
    snoozed_until: at(lead.snoozedUntil),
    last_inbound_at: at(lead.inboundAt),
    last_outbound_at: at(lead.outboundAt),
    enrichment_status: lead.story.enrichment ?? "not_requested",
    created_at: at(lead.enrolledAt - 3 * DAY),
  },
];

export function instanceRows(lead: LeadHistory) {
  const { sequence, story } = lead;
  if (!sequence) return [];
  const isPaused = story.status === "paused";
  const isCompleted = story.status === "completed";
  return [
    {
      id: instanceId(lead.number),
      ...idsOf(lead),
      sequence_id: sequence.id,
      status: story.status,
      paused_reason: isPaused ? story.reason : undefined,
      position: lead.position,
      next_step_due: story.status === "active" ? at(lead.dueAt) : undefined,
      recheck_at: isPaused ? at(recheckOf(lead)) : undefined,
      completed_at: isCompleted ? at(lead.dueAt) : undefined,
      completed_reason: isCompleted ? story.reason : undefined,
      created_at: at(lead.enrolledAt),
      started_at: at(lead.enrolledAt),
    },
  ];
}

function recheckOf({ story, inboundAt, snoozedUntil, recheckAt }: LeadHistory): number | undefined {
  if (story.reason === "lead_replied" && inboundAt !== undefined) return inboundAt + 7 * DAY;
  return story.reason === "lead_snoozed" ? snoozedUntil : recheckAt;
}

/** Some leads are in a second sequence, which is not due yet. */
export function secondInstanceRows(lead: LeadHistory) {
  const { sequence, story, position, secondDueAt } = lead;
  const isChosen = sequence?.key !== "manual" && story.status === "active" && position > 1;
  if (!isChosen || secondDueAt === undefined) return [];
  return [
    {
      id: demoId("instance", lead.number * 4 + 1),
      ...idsOf(lead),
      sequence_id: sequenceOf(lead.workspace.id, "manual")?.id,
      status: "active",
      next_step_due: at(secondDueAt),
      created_at: at(lead.enrolledAt),
      started_at: at(lead.enrolledAt),
    },
  ];
}

export const touchRows = (lead: LeadHistory, now: number) =>
  lead.touches.map((touch) => ({
    id: touchId(lead.number, touch),
    ...idsOf(lead),
    instance_id: instanceId(lead.number),
    step_id: touch.step.id,
    generation: 1,
    channel: touch.step.channel,
    status: touch.status,
    subject: touch.step.subject && rendered(touch.step.subject, lead),
    body: rendered(touch.step.body, lead),
    claimed_at: at(touch.claimedAt),
    ...outcomeOf(lead.number, touch, now),
  }));

const NO_OUTCOME = {
  reason: undefined,
  attempts: 1,
  failures: 0,
  next_attempt_at: undefined,
  recheck_at: undefined,
  send_until: undefined,
  sent_at: undefined,
  provider_id: undefined,
};

/** The columns that depend on the status. */
function outcomeOf(number: number, { status, claimedAt }: PastTouch, now: number) {
  const retryAt = at(now + 20 * MINUTE);
  switch (status) {
    case "sent":
      return { ...NO_OUTCOME, sent_at: at(claimedAt), provider_id: `demo:${number}` };
    case "failed":
      return { ...NO_OUTCOME, reason: "smtp_550" };
    case "unknown":
      return { ...NO_OUTCOME, reason: "etimedout" };
    case "sending":
      return { ...NO_OUTCOME, recheck_at: at(now - 5 * MINUTE) };
    case "claimed":
      return {
        ...NO_OUTCOME,
        reason: "smtp_451",
        failures: 1,
        next_attempt_at: retryAt,
        recheck_at: retryAt,
        send_until: at(now + 8 * HOUR),
      };
    default:
      return { ...NO_OUTCOME, attempts: 0 };
  }
}

/** Renders a template. Supports only the placeholders of the demo's templates. */
const rendered = (template: string, { firstName, company = "your team", workspace }: LeadHistory): string =>
  template
    .replaceAll("{{ lead.first_name }}", firstName)
    .replaceAll(COMPANY_OR_TEAM, company)
    .replaceAll("{{ workspace.name }}", workspace.name);

export const taskRows = (lead: LeadHistory, now: number) =>
  lead.touches.flatMap((touch) => {
    const { step, claimedAt } = touch;
    if (step.channel !== "task") return [];
    return [
      {
        id: demoId("task", lead.number),
        ...idsOf(lead),
        touch_id: touchId(lead.number, touch),
        title: rendered(step.subject ?? "", lead),
        notes: rendered(step.body, lead),
        done_at: at(Math.min(claimedAt + 6 * HOUR, now)),
        created_at: at(claimedAt),
      },
    ];
  });

/** Whether the status says that the lead has booked; no function processed that, as after a hand-typed update. */
export const isBookedByHand = ({ story }: LeadHistory): boolean =>
  story.booking === "by_hand" || story.booking === "earlier";

export function appointmentRows(lead: LeadHistory, now: number) {
  const { booking } = lead.story;
  if (booking === undefined || booking === "by_hand") return [];
  const isMissed = booking === "missed";
  const planned = isMissed ? lead.enrolledAt - HOUR : lead.meetingAt;
  const startsAt = planned - (planned % (30 * MINUTE));
  return [
    {
      id: demoId("appointment", lead.number),
      ...idsOf(lead),
      external_id: `demo-${lead.number}`,
      status: isMissed ? "missed" : "confirmed",
      starts_at: at(startsAt),
      ends_at: at(startsAt + 30 * MINUTE),
      last_event_at: at(now),
      created_at: at(now),
    },
  ];
}

/** Instances of the sequence that a booking starts. A booking does not stop them. */
export function postBookingInstanceRows(lead: LeadHistory, now: number) {
  const { booking } = lead.story;
  if (booking === undefined || booking === "missed" || lead.postBookingDueAt === undefined) return [];
  return [
    {
      id: demoId("instance", lead.number * 4 + 2),
      ...idsOf(lead),
      sequence_id: sequenceOf(lead.workspace.id, "meeting_selected")?.id,
      lead_booked: true,
      post_booking: true,
      status: "active",
      next_step_due: at(lead.postBookingDueAt),
      created_at: at(now),
      started_at: at(now),
    },
  ];
}

const EVENT_OF_TOUCH: Partial<Record<TouchStatus, string>> = {
  failed: "touch_failed",
  unknown: "touch_unknown",
  awaiting_approval: "approval_waiting",
};

/** The events of the first digest. */
export function notificationRows(lead: LeadHistory, now: number) {
  const { number, inboundAt, story, touches, bookedAt } = lead;
  const { workspace_id, lead_id } = idsOf(lead);
  const row = (place: number, kind: string, occurredAt: number, subject: { lead_id?: string; touch_id?: string }) => ({
    id: demoId("notification", number * 64 + place),
    workspace_id,
    kind,
    lead_id: subject.lead_id,
    touch_id: subject.touch_id,
    occurred_at: at(occurredAt),
  });
  const ofTouches = touches.flatMap((touch) => {
    const kind = EVENT_OF_TOUCH[touch.status];
    return kind ? [row(touch.step.position, kind, touch.claimedAt, { touch_id: touchId(number, touch) })] : [];
  });
  const hasReplied = inboundAt !== undefined && inboundAt > now - 3 * DAY;
  return [
    ...ofTouches,
    ...(hasReplied ? [row(62, "lead_replied", inboundAt, { lead_id })] : []),
    ...(story.booking === "earlier" ? [row(63, "meeting_booked", bookedAt, { lead_id })] : []),
  ];
}
