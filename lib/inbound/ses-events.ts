import * as z from "zod";
import { TOUCH_TAG, WORKSPACE_TAG } from "../domain/mail-marks.ts";
import { instant } from "./instant.ts";
import { faultsOf } from "./json.ts";
import { isComplaint, isNoSuchAddress } from "./reports.ts";
import { fault, ignored, type TranslatedFact, type Translation } from "./translation.ts";

/** Ids of SES, which become part of event ids. */
const id = z.string().regex(/^[\w.+=@-]{1,80}$/, "must be an id of SES");
const anything = z.unknown().optional();
const tagValues = z.array(z.string()).catch([]);

/** Unknown keys are ignored: SES reserves the right to add some. */
const mail = z.object({ messageId: id, tags: z.record(z.string(), tagValues).catch({}) });

const recipient = z.object({ status: z.string().optional().catch(undefined), diagnosticCode: anything });
const bounce = z.object({
  bounceType: z.string(),
  bounceSubType: z.string().catch(""),
  bouncedRecipients: z.array(recipient).catch([]),
  feedbackId: id.catch(""),
  timestamp: anything,
});
const complaint = z.object({
  complaintFeedbackType: z.string().nullish().catch(null),
  feedbackId: id.catch(""),
  arrivalDate: anything,
  timestamp: anything,
});
const delivery = z.object({ timestamp: anything });

const event = z.object({ "detail-type": z.string(), time: anything, detail: z.looseObject({ mail }) });

/** The touch of an event, its workspace, and the times that the event gives, best first. */
interface About {
  readonly workspaceId: string;
  readonly touchId: string;
  readonly messageId: string;
  readonly time: unknown;
}

type Translate = (detail: unknown, about: About) => Translation;

/**
 * Translates an event that SES puts on EventBridge. The tags name the touch and its workspace, so a mail of another
 * system or a digest is ignored. One recipient per mail: the fact names the touch, and no address is read. Event ids
 * consist of the ids of SES, so each event is applied once. Fields: SES Developer Guide, "Contents of event data".
 */
export function translateSesEvent(payload: unknown): Translation {
  const parsed = event.safeParse(payload);
  if (!parsed.success) return undocumented(parsed.error);
  const { "detail-type": type, time, detail } = parsed.data;
  const [touchId] = detail.mail.tags[TOUCH_TAG] ?? [];
  const [workspaceId] = detail.mail.tags[WORKSPACE_TAG] ?? [];
  if (touchId === undefined || workspaceId === undefined) return ignored("mail_without_touch");
  const translate = BY_TYPE.get(type);
  if (!translate) return ignored("event_without_effect");
  return translate(detail, { workspaceId, touchId, messageId: detail.mail.messageId, time });
}

/** Events of other types say nothing that a fact needs: sent, delayed, opened, clicked, subscription. */
const BY_TYPE: ReadonlyMap<string, Translate> = new Map([
  ["Email Bounced", bounced],
  ["Email Complaint Received", complained],
  ["Email Delivered", delivered],
  ["Email Rejected", (_detail, about) => failed("rejected_by_provider", "reject", about)],
  ["Email Rendering Failed", (_detail, about) => failed("rendering_failed", "failure", about)],
]);

function bounced(detail: unknown, about: About): Translation {
  const parsed = z.object({ bounce }).safeParse(detail);
  if (!parsed.success) return undocumented(parsed.error);
  const { feedbackId, timestamp } = parsed.data.bounce;
  if (isAutomaticReply(parsed.data.bounce)) return ignored("automatic_reply");
  const at = headOf(about, ["bounce", feedbackId], [timestamp]);
  const kind = bounceKindOf(parsed.data.bounce);
  return fact({ type: "lead.bounced", detail: { ...at, lead: { touch: about.touchId }, kind } });
}

type Bounce = z.infer<typeof bounce>;

/**
 * SES reports out-of-office replies as a general transient bounce and does not count them. A real bounce carries the
 * status or the answer of the recipient's server. SES Developer Guide, "Bounce types".
 */
const isAutomaticReply = ({ bounceType, bounceSubType, bouncedRecipients }: Bounce): boolean =>
  bounceType === "Transient" &&
  bounceSubType === "General" &&
  bouncedRecipients.every(({ status, diagnosticCode }) => status === undefined && diagnosticCode === undefined);

/**
 * An address that the receiving server does not know is permanent, even if SES derived another type from the answer's
 * text.
 */
const bounceKindOf = ({ bounceType, bouncedRecipients }: Bounce) =>
  bounceType === "Permanent" || bouncedRecipients.some(({ status = "" }) => isNoSuchAddress(status))
    ? "permanent"
    : "transient";

function complained(detail: unknown, about: About): Translation {
  const parsed = z.object({ complaint }).safeParse(detail);
  if (!parsed.success) return undocumented(parsed.error);
  const { complaintFeedbackType, feedbackId, arrivalDate, timestamp } = parsed.data.complaint;
  if (!isComplaint(complaintFeedbackType ?? "")) return ignored("no_complaint");
  const at = headOf(about, ["complaint", feedbackId], [arrivalDate, timestamp]);
  return fact({ type: "lead.complained", detail: { ...at, lead: { touch: about.touchId } } });
}

function delivered(detail: unknown, about: About): Translation {
  const { data } = z.object({ delivery }).safeParse(detail);
  const at = headOf(about, ["delivery"], [data?.delivery.timestamp]);
  return fact({ type: "touch.delivered", detail: { ...at, touchId: about.touchId } });
}

const failed = (reason: string, event: string, about: About): Translation =>
  fact({ type: "touch.failed", detail: { ...headOf(about, [event], []), touchId: about.touchId, reason } });

/** The first readable time counts; the event's own is the last. */
function headOf({ workspaceId, messageId, time }: About, event: readonly string[], times: readonly unknown[]) {
  const readable = [...times, time].find((one) => instant.safeParse(one).success);
  return { workspaceId, eventId: ["ses", messageId, ...event].join(":"), occurredAt: String(readable ?? time) };
}

const fact = (one: TranslatedFact): Translation => ({ kind: "facts", facts: [one] });
const undocumented = (error: z.ZodError): Translation =>
  fault(`not a documented event of SES: ${faultsOf(error).join("; ")}`);
