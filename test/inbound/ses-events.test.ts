import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { parseMessage } from "../../lib/inbound/parse-message.ts";
import { translateSesEvent } from "../../lib/inbound/ses-events.ts";
import { aBounce, aComplaint, aDelivery, aReject, aRenderingFailure, SES_TIMES, sesEvent } from "./ses-examples.ts";

const tags = {
  workspaceId: "0190f0f0-0000-7000-8000-0000000000a1",
  touchId: "0190f0f0-0000-7000-8000-0000000000b1",
};
const lead = { touch: tags.touchId };
const MESSAGE = "0102019abc-4d1e-42aa-000000";

const factOf = (type: string, detail: object) => {
  const translated = translateSesEvent(sesEvent(type, { ...detail }, tags));
  return translated.kind === "facts" ? translated.facts : translated;
};

describe("an event of SES about a touch", () => {
  it.each([
    ["Permanent", "General", "5.1.1", "permanent"],
    ["Permanent", "NoEmail", "5.1.1", "permanent"],
    ["Permanent", "Suppressed", undefined, "permanent"],
    ["Permanent", "OnAccountSuppressionList", undefined, "permanent"],
    ["Permanent", "UnsubscribedRecipient", undefined, "permanent"],
    ["Transient", "General", "4.4.7", "transient"],
    ["Transient", "MailboxFull", undefined, "transient"],
    ["Transient", "MessageTooLarge", "5.3.4", "transient"],
    ["Transient", "ContentRejected", "5.7.1", "transient"],
    ["Transient", "AttachmentRejected", undefined, "transient"],
    ["Transient", "CustomTimeoutExceeded", undefined, "transient"],
    ["Undetermined", "Undetermined", undefined, "transient"],
    ["Unheard", "Of", undefined, "transient"],
    // Types that SES derived from the text, although the server knows no such address.
    ["Transient", "General", "5.1.1", "permanent"],
    ["Undetermined", "Undetermined", "5.1.10", "permanent"],
  ])("is a bounce: %s %s with status %s is %s", (bounceType, bounceSubType, status, kind) => {
    const bouncedRecipients = [{ emailAddress: "ada@example.com", ...(status && { action: "failed", status }) }];
    const detail = aBounce({ bounceType, bounceSubType, bouncedRecipients });
    const about = { workspaceId: tags.workspaceId, occurredAt: SES_TIMES.reported, lead };
    expect(factOf("Email Bounced", detail)).toEqual([
      { type: "lead.bounced", detail: { ...about, eventId: `ses:${MESSAGE}:bounce:0102019abd-61b5-000000`, kind } },
    ]);
  });

  it("is no bounce if it reports an out-of-office reply, which carries no answer of a server", () => {
    const automatic = { bounceType: "Transient", bounceSubType: "General" };
    const without = aBounce({ ...automatic, bouncedRecipients: [{ emailAddress: "ada@example.com" }] });
    expect(factOf("Email Bounced", without)).toEqual({ kind: "ignored", reason: "automatic_reply" });
    const answered = [{ emailAddress: "ada@example.com", diagnosticCode: "smtp; 452 later" }];
    expect(factOf("Email Bounced", aBounce({ ...automatic, bouncedRecipients: answered }))).toMatchObject([
      { type: "lead.bounced", detail: { kind: "transient" } },
    ]);
  });

  it.each(["abuse", "fraud", "other", "virus", "ABUSE", null, undefined])(
    "is a complaint, by the time at which the provider got it: %s",
    (complaintFeedbackType) => {
      expect(factOf("Email Complaint Received", aComplaint({ complaintFeedbackType }))).toEqual([
        {
          type: "lead.complained",
          detail: {
            workspaceId: tags.workspaceId,
            eventId: `ses:${MESSAGE}:complaint:0102019abe-61b5-000000`,
            occurredAt: SES_TIMES.reported,
            lead,
          },
        },
      ]);
    },
  );

  it.each(["not-spam", "Not-Spam", "auth-failure", "dmarc"])(
    "is no complaint of a person: %s",
    (complaintFeedbackType) => {
      const ignored = { kind: "ignored", reason: "no_complaint" };
      expect(factOf("Email Complaint Received", aComplaint({ complaintFeedbackType }))).toEqual(ignored);
    },
  );

  it.each([
    ["Email Delivered", aDelivery, "touch.delivered", "delivery", SES_TIMES.reported, {}],
    ["Email Rejected", aReject, "touch.failed", "reject", "2026-11-20T08:00:09Z", { reason: "rejected_by_provider" }],
    [
      "Email Rendering Failed",
      aRenderingFailure,
      "touch.failed",
      "failure",
      "2026-11-20T08:00:09Z",
      { reason: "rendering_failed" },
    ],
  ])("is the outcome of its touch: %s", (detailType, detail, type, event, occurredAt, more) => {
    const { workspaceId, touchId } = tags;
    expect(factOf(detailType, detail)).toEqual([
      { type, detail: { workspaceId, touchId, eventId: `ses:${MESSAGE}:${event}`, occurredAt, ...more } },
    ]);
  });

  it.each(["Email Sent", "Email Delivery Delayed", "Email Opened", "Email Clicked", "Email Subscribed"])(
    "has no effect: %s",
    (detailType) => {
      expect(factOf(detailType, {})).toEqual({ kind: "ignored", reason: "event_without_effect" });
    },
  );
});

describe("an event of SES", () => {
  it.each([{}, { touchId: tags.touchId }, { workspaceId: tags.workspaceId }])(
    "about a mail without both tags belongs to another system: %j",
    (some) => {
      const ignored = { kind: "ignored", reason: "mail_without_touch" };
      expect(translateSesEvent(sesEvent("Email Bounced", aBounce(), some))).toEqual(ignored);
    },
  );

  it.each([
    ["no detail", { source: "aws.ses", "detail-type": "Email Bounced" }],
    ["no mail", { source: "aws.ses", "detail-type": "Email Bounced", detail: aBounce() }],
    ["no bounce", sesEvent("Email Bounced", {}, tags)],
    ["no complaint", sesEvent("Email Complaint Received", { complaint: "yes" }, tags)],
    ["a touch that is no id", sesEvent("Email Bounced", aBounce(), { ...tags, touchId: "ada@example.com" })],
  ])("that is not as documented is refused, without its values: %s", (_what, event) => {
    const parsed = parseMessage(JSON.stringify(event));
    expect(parsed).toEqual({
      kind: "refused",
      reason: expect.stringMatching(/not a documented event of SES|detail: /),
    });
    expect(JSON.stringify(parsed)).not.toContain("ada@example.com");
  });

  it.each<[string, string, object]>([
    ["a bounce without recipients, id and time", "Email Bounced", { bounce: { bounceType: "Permanent" } }],
    ["a bounce of several recipients", "Email Bounced", aBounce({ bouncedRecipients: [{}, { status: "5.1.1" }] })],
    [
      "a complaint about the suppression list",
      "Email Complaint Received",
      aComplaint({ complaintSubType: "OnAccountSuppressionList", complaintFeedbackType: undefined }),
    ],
    ["a complaint without anything", "Email Complaint Received", { complaint: {} }],
    ["a delivery without anything", "Email Delivered", {}],
  ])("needs only what names the touch: %s", (_what, type, detail) => {
    const parsed = parseMessage(JSON.stringify(sesEvent(type, { ...detail }, tags)));
    expect(parsed).toMatchObject({ kind: "touch_facts", facts: [{ workspaceId: tags.workspaceId }] });
  });

  it("with an unreadable time happened when it was published", () => {
    const facts = factOf("Email Delivered", { delivery: { timestamp: "yesterday" } });
    expect(facts).toMatchObject([{ detail: { occurredAt: "2026-11-20T08:00:09Z" } }]);
  });

  it("never throws, for any values of its fields", () => {
    const types = fc.constantFrom("Email Bounced", "Email Complaint Received", "Email Delivered", "Email Rejected");
    fc.assert(
      fc.property(types, fc.jsonValue(), fc.jsonValue(), (type, bounce, tags) => {
        const detail = { mail: { messageId: "1", tags }, bounce, complaint: bounce, delivery: bounce };
        const { kind } = parseMessage(JSON.stringify({ source: "aws.ses", "detail-type": type, detail }));
        expect(["ignored", "refused", "touch_facts"]).toContain(kind);
      }),
    );
  });
});
