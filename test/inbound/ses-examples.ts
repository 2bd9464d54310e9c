import type { Columns } from "../support/factories.ts";

/** The touch that a mail's tags name. */
export interface Tagged {
  readonly workspaceId: string;
  readonly touchId: string;
}

export const SES_TIMES = { sent: "2026-11-20T08:00:00.000Z", reported: "2026-11-20T08:00:07.000Z" };

/** The `mail` of an event, in the documented shape. */
const mailOf = (tags: Columns): Columns => ({
  timestamp: SES_TIMES.sent,
  source: "Northwind <hello@northwind.example>",
  sendingAccountId: "123456789012",
  messageId: "0102019abc-4d1e-42aa-000000",
  destination: ["ada@example.com"],
  headersTruncated: false,
  headers: [{ name: "Subject", value: "Shall we talk?" }],
  commonHeaders: { subject: "Shall we talk?", to: ["ada@example.com"] },
  tags: { "ses:configuration-set": ["backstop-dev"], "ses:operation": ["SendEmail"], ...tags },
});

/** An event of SES on EventBridge, in the documented shape. */
export function sesEvent(detailType: string, detail: Columns, { workspaceId, touchId }: Partial<Tagged>): Columns {
  return {
    version: "0",
    id: "5e1c3a8e-0000-4000-8000-000000000001",
    "detail-type": detailType,
    source: "aws.ses",
    account: "123456789012",
    time: "2026-11-20T08:00:09Z",
    region: "eu-central-1",
    resources: ["arn:aws:ses:eu-central-1:123456789012:configuration-set/backstop-dev"],
    detail: {
      mail: mailOf({
        ...(touchId !== undefined && { "backstop-touch": [touchId] }),
        ...(workspaceId !== undefined && { "backstop-workspace": [workspaceId] }),
      }),
      ...detail,
    },
  };
}

export const aBounce = (changes: Columns = {}): Columns => ({
  eventType: "Bounce",
  bounce: {
    bounceType: "Permanent",
    bounceSubType: "General",
    bouncedRecipients: [
      { emailAddress: "ada@example.com", action: "failed", status: "5.1.1", diagnosticCode: "smtp; 550 5.1.1 unknown" },
    ],
    timestamp: SES_TIMES.reported,
    feedbackId: "0102019abd-61b5-000000",
    reportingMTA: "dns; mx.example.com",
    ...changes,
  },
});

export const aComplaint = (changes: Columns = {}): Columns => ({
  eventType: "Complaint",
  complaint: {
    complainedRecipients: [{ emailAddress: "ada@example.com" }],
    timestamp: "2026-11-20T08:00:08.000Z",
    feedbackId: "0102019abe-61b5-000000",
    complaintSubType: null,
    userAgent: "a feedback loop",
    complaintFeedbackType: "abuse",
    arrivalDate: SES_TIMES.reported,
    ...changes,
  },
});

export const aDelivery: Columns = {
  eventType: "Delivery",
  delivery: {
    timestamp: SES_TIMES.reported,
    processingTimeMillis: 900,
    recipients: ["ada@example.com"],
    smtpResponse: "250 2.6.0 Message received",
    reportingMTA: "mta.example.com",
  },
};

export const aReject: Columns = { eventType: "Reject", reject: { reason: "Bad content" } };
export const aRenderingFailure: Columns = {
  eventType: "Rendering Failure",
  failure: { errorMessage: "Attribute 'name' is not present", templateName: "x" },
};
