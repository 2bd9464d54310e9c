import { randomUUID } from "node:crypto";
import * as z from "zod";
import { approve, listApprovals, reject, showApproval } from "../../lib/operate/approvals.ts";
import { TEXT_FAULTS } from "../../lib/store/approvals.ts";
import { RefusedRequest } from "../problem.ts";
import { ageOf, formatMinute } from "../terminal.ts";
import { type HtmlPage, page, problemPage, type Session, type View } from "./page.ts";

const PAGE_SIZE = 50;

/** `/approvals`: what waits for approval, by expiry. */
export const approvals: View = async ({ operator, session, fields }) => {
  const [workspace, after] = [fields.get("workspace"), fields.get("after")];
  const { touches, next, askedAt } = await operator.ask(listApprovals, {
    limit: PAGE_SIZE,
    ...(workspace && { workspace }),
    ...(after && { after }),
  });
  const { notice } = session;
  session.notice = "";
  return await page("approvals", "Approvals", {
    notice,
    workspace,
    next,
    touches: touches.map((touch) => ({ ...shown(touch), age: ageOf(touch.claimedAt, askedAt) })),
  });
};

type WaitingTouch = z.output<typeof listApprovals.answer>["touches"][number];

const shown = (touch: Omit<WaitingTouch, "status">) => ({
  ...touch,
  leadName: touch.leadName || "(no name)",
  expires: touch.expiresAt ? formatMinute(touch.expiresAt) : "never",
});

/** `/approval?touch=ID`: one text as it would be sent now, and the forms that decide on it. */
export const approval: View = ({ operator, session, fields }) =>
  textPage({ operator, session, touch: fields.get("touch") ?? "" });

interface Shown {
  readonly operator: Parameters<View>[0]["operator"];
  readonly session: Session;
  readonly touch: string;
  /** The fault of the form that was sent. */
  readonly fault?: string;
  readonly status?: number;
}

async function textPage({ operator, session, touch, fault = "", status = 200 }: Shown): Promise<HtmlPage> {
  try {
    const answer = await operator.ask(showApproval, { touch });
    const values = { text: shown(answer), touch, fault, ...formValues(session) };
    return await page("approval", "Approve or reject", values, status);
  } catch (thrown) {
    if (!(thrown instanceof RefusedRequest && REJECTABLE.has(thrown.code))) throw thrown;
    const values = { text: null, touch, fault: fault || thrown.refusal, ...formValues(session) };
    return await page("approval", "Reject", values, status);
  }
}

const REJECTABLE: ReadonlySet<string> = new Set(TEXT_FAULTS);

/** Each form has an order id of its own, so that a form that is sent twice is one order. */
const formValues = ({ by }: Session) => ({ by, approveOrder: randomUUID(), rejectOrder: randomUUID() });

/** Fields that the page itself filled in. */
const hidden = z.object({ touch: z.guid(), order: z.guid() });
const name = z.string().trim().min(1, "Type your name, which is stored with the decision").max(100);
const approveForm = hidden.extend({ by: name, fingerprint: z.string() });
const rejectForm = hidden.extend({ by: name, reason: z.string().trim().min(1, "Say why you reject it").max(500) });

/** Carries out the form "approve": exactly the text that its page showed. */
export const approveText: View = (visit) =>
  decide(visit, approveForm, async ({ touch, fingerprint, by, order }) => {
    const signature = { by, reason: "approved in the console", orderId: order };
    await visit.operator.order(approve, { touch, fingerprint }, signature);
    return "Approved: the next run sends the text when all rules permit it.";
  });

/** Carries out the form "reject". */
export const rejectText: View = (visit) =>
  decide(visit, rejectForm, async ({ touch, by, reason, order }) => {
    await visit.operator.order(reject, { touch }, { by, reason, orderId: order });
    return "Rejected: the text is never sent, and its sequence continues.";
  });

type Form = z.ZodType<z.output<typeof hidden> & { readonly by: string }>;

/** Reads the form, gives its order, and leads back to the list. A form that is not complete is shown again. */
async function decide<Schema extends Form>(
  { operator, session, fields }: Parameters<View>[0],
  schema: Schema,
  give: (form: z.output<Schema>) => Promise<string>,
): Promise<HtmlPage> {
  const touch = fields.get("touch") ?? "";
  session.by = (fields.get("by") ?? "").trim().slice(0, 100) || session.by;
  const form = schema.safeParse(Object.fromEntries(fields));
  if (!form.success) {
    const fault = form.error.issues.map(({ message }) => message).join(". ");
    return await textPage({ operator, session, touch, fault: `Nothing was decided. ${fault}.`, status: 400 });
  }
  try {
    session.notice = await give(form.data);
    return { status: 303, location: "/approvals" };
  } catch (thrown) {
    if (!(thrown instanceof RefusedRequest)) throw thrown;
    if (thrown.code !== "text_changed") return await problemPage("Nothing was changed", thrown.refusal, 409);
    const fault = "The text has changed since you read it, so nothing was approved. Below is the text as it is now.";
    return await textPage({ operator, session, touch, fault, status: 409 });
  }
}
