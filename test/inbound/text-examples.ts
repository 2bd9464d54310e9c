import type { Columns } from "../support/factories.ts";

/** A text that a person sent, as SNS delivers it to a queue. */
export const aText = (changes: Columns = {}): Columns => ({
  Type: "Notification",
  MessageId: "7a0b2c4d-0000-5000-8000-000000000001",
  TopicArn: "arn:aws:sns:eu-central-1:123456789012:backstop-dev-sms-replies",
  Message: JSON.stringify({
    originationNumber: "+491701234567",
    destinationNumber: "+4930901820",
    messageKeyword: "KEYWORD_123456789012",
    messageBody: "Sounds good",
    previousPublishedMessageId: "sent-1",
    inboundMessageId: "inbound-1",
    ...changes,
  }),
  Timestamp: "2026-11-20T09:00:00.000Z",
  SignatureVersion: "1",
  Signature: "not checked: only the topic may write to the queue",
});
