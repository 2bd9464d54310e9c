import { GetScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { GetAccountCommand, GetEmailIdentityCommand, SESv2Client } from "@aws-sdk/client-sesv2";
import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";
import { workspaceMailbox } from "../lib/domain/sender.ts";
import type { Check } from "../lib/operate/checks.ts";
import { namesOf } from "../lib/platform/names.ts";
import { isNamed } from "./aws.ts";

/** Checks that ask AWS about a stage, with the caller's credentials (`infra/policies/on-call.json`). */
export const stageChecks = (stage: string, senders: readonly string[]): readonly Check[] => [
  scheduleCheck(stage),
  queuesCheck(stage),
  accountCheck(),
  identitiesCheck(senders),
];

const scheduleCheck = (stage: string): Check => ({
  name: "schedule",
  async run() {
    const { schedule: Name, scheduleGroup: GroupName } = namesOf(stage);
    const { State, ScheduleExpression } = await new SchedulerClient({})
      .send(new GetScheduleCommand({ Name, GroupName }))
      .catch((thrown: unknown) => {
        if (isNamed(thrown, "ResourceNotFoundException")) return { State: "MISSING" as const, ScheduleExpression: "" };
        throw thrown;
      });
    if (State === "MISSING") {
      const remedy = `deploy the stage: npx cdk deploy -c stage=${stage}; or check --stage and AWS_REGION`;
      return { found: `there is no ${GroupName}/${Name}`, remedy };
    }
    if (State !== "DISABLED") return { found: `running, ${ScheduleExpression}` };
    return { found: "paused", remedy: `npm run backstop -- schedule resume --stage ${stage}` };
  },
});

/** A stage has only the queues of its options. */
const queuesCheck = (stage: string): Check => ({
  name: "queues",
  async run() {
    const { undeliveredTicks, failedRuns, failedDeliveries, refusedEvents } = namesOf(stage);
    const sqs = new SQSClient({});
    const full: string[] = [];
    for (const name of [undeliveredTicks, failedRuns, failedDeliveries, refusedEvents]) {
      const messages = await messagesIn(sqs, name);
      if (messages > 0) full.push(`${messages} in ${name}`);
    }
    if (full.length === 0) return { found: "no failed message" };
    return { found: full.join(", "), remedy: "docs/runbook.md says what each queue means and how to redrive it" };
  },
});

async function messagesIn(sqs: SQSClient, QueueName: string): Promise<number> {
  try {
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["ApproximateNumberOfMessages"] }),
    );
    return Number(Attributes?.ApproximateNumberOfMessages ?? 0);
  } catch (thrown) {
    if (isNamed(thrown, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")) return 0;
    throw thrown;
  }
}

/**
 * The sandbox and the quota of a region.
 * @see https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html
 */
const accountCheck = (): Check => ({
  name: "SES account",
  async run() {
    const { ProductionAccessEnabled, SendingEnabled, SendQuota } = await new SESv2Client({}).send(
      new GetAccountCommand({}),
    );
    const { Max24HourSend = 0, SentLast24Hours = 0, MaxSendRate = 0 } = SendQuota ?? {};
    const found = `${SentLast24Hours} of ${Max24HourSend} mails sent in 24 hours, ${MaxSendRate} a second`;
    if (!SendingEnabled)
      return { found: "sending is disabled", remedy: "see the account dashboard of the SES console" };
    if (!ProductionAccessEnabled) {
      const remedy = "it sends only to verified addresses: request production access in the SES console";
      return { found: `in the sandbox; ${found}`, remedy };
    }
    // SES gives -1 for an unlimited quota.
    if (Max24HourSend >= 0 && SentLast24Hours >= Max24HourSend)
      return { found, remedy: "request a higher quota in the Service Quotas console, or wait" };
    return { found };
  },
});

const identitiesCheck = (senders: readonly string[]): Check => ({
  name: "SES identities",
  needs: ["workspaces", "SES account"],
  async run() {
    const ses = new SESv2Client({});
    const addresses = senders.map((sender) => workspaceMailbox(sender)?.address ?? sender);
    const missing: string[] = [];
    for (const address of new Set(addresses)) if (!(await maySendAs(ses, address))) missing.push(address);
    if (missing.length === 0) return { found: "all senders are verified" };
    return { found: `not verified: ${missing.join(", ")}`, remedy: "verify each address or its domain in SES" };
  },
});

/** SES uses the identity of the address if there is one, and that of its domain otherwise. */
async function maySendAs(ses: SESv2Client, address: string): Promise<boolean> {
  for (const EmailIdentity of [address, address.slice(address.lastIndexOf("@") + 1)]) {
    try {
      const identity = await ses.send(new GetEmailIdentityCommand({ EmailIdentity }));
      return identity.VerifiedForSendingStatus === true;
    } catch (thrown) {
      if (!isNamed(thrown, "NotFoundException")) throw thrown;
    }
  }
  return false;
}
