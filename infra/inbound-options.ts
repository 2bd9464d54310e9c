import * as z from "zod";
import { SWEEP_DEFAULTS } from "../lib/booking/eligibility.ts";
import { reconcileOptions } from "../lib/platform/reconcile-config.ts";
import { arnOf } from "./channels.ts";
import { homeOf, type OptionFault } from "./placement.ts";

/** The quota of an API Gateway account in a region, unless raised. */
const MOST = { requestsPerSecond: 10_000, burst: 5_000 };

const webhooks = z.strictObject({
  /** Links in mails outlive an API: its default address changes if the API is created again. */
  domain: z
    .strictObject({
      name: z
        .hostname()
        .regex(/^(?!.*[A-Z])[^.]+(?:\.[^.]+)+$/, "must be a full domain name in lower case, such as links.example.com"),
      certificateArn: arnOf("acm", "certificate/", "the ARN of one certificate"),
    })
    .optional(),
  requestsPerSecond: z.int().min(1).max(MOST.requestsPerSecond).default(100),
  /** Requests at once above `requestsPerSecond`. */
  burst: z.int().min(1).max(MOST.burst).default(200),
  /** Omit it in accounts with a low concurrency limit, where it fails to deploy. */
  reservedConcurrency: z.int().min(1).optional(),
});

/** @see https://docs.aws.amazon.com/ses/latest/APIReference/API_CreateReceiptRuleSet.html */
const RULE_SET = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

const replies = z.strictObject({
  address: z.email().regex(/^[^A-Z+]+$/, "must be in lower case and without a plus tag"),
  /** The active receipt rule set of the account and region. */
  ruleSet: z.string().regex(RULE_SET, "must be the name of a receipt rule set"),
});

/** Compares booking tools through their APIs, so that a booking whose webhook is lost stops its sequences too. */
const reconcile = z.strictObject({
  /** Minutes between two comparisons of meetings that start within `hotDays`. */
  hotMinutes: reconcileOptions.hotMinutes.default(SWEEP_DEFAULTS.hotMinutes),
  /** Minutes between two comparisons of later and past meetings. */
  warmMinutes: reconcileOptions.warmMinutes.default(SWEEP_DEFAULTS.warmMinutes),
  hotDays: reconcileOptions.hotDays.default(SWEEP_DEFAULTS.hotDays),
});

/** The options of a stage for facts that arrive without the user's code. */
export const inboundOptions = {
  webhooks: webhooks.optional(),
  /** Events of SES about mails: bounces, complaints, deliveries. */
  mailEvents: z.strictObject({}).optional(),
  /** Texts that people send to the number of `sms`. */
  smsReplies: z.strictObject({}).optional(),
  /** Mails that people send. */
  replies: replies.optional(),
  reconcile: reconcile.optional(),
};

/**
 * Regions where SES receives mail, as of July 2026. A region that is missing here is rejected: SES would accept the
 * receipt rule's deploy in none of them.
 * @see https://docs.aws.amazon.com/general/latest/gr/ses.html#ses_inbound_endpoints
 */
const RECEIVING_REGIONS: ReadonlySet<string> = new Set([
  ...["af-south-1", "ca-central-1", "il-central-1", "me-south-1", "sa-east-1"],
  ...["ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"],
  ...["ap-southeast-1", "ap-southeast-2", "ap-southeast-3"],
  ...["eu-central-1", "eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2", "eu-west-3"],
  ...["us-east-1", "us-east-2", "us-west-1", "us-west-2"],
]);

const anything = z.unknown().optional();
const text = z.string().optional().catch(undefined);

/** The options that must fit each other. An invalid key has an error of its own, and is read as missing. */
const relevant = z.object({
  home: z
    .object({ account: z.string().catch(""), region: z.string().catch("") })
    .optional()
    .catch(undefined),
  proxy: z
    .object({ arn: z.string().catch("") })
    .optional()
    .catch(undefined),
  intake: anything,
  webhooks: anything,
  mailEvents: anything,
  smsReplies: anything,
  replies: anything,
  reconcile: anything,
  sms: z.object({ originationIdentityArn: text }).optional().catch(undefined),
});
type Relevant = z.output<typeof relevant>;

const NEED_INTAKE = ["webhooks", "mailEvents", "smsReplies", "replies", "reconcile"] as const;

/** The errors of a stage whose options for arriving facts lack what they need. */
export function faultsOfInbound(stage: unknown): readonly OptionFault[] {
  const found = relevant.parse(stage);
  return [
    ...NEED_INTAKE.filter((key) => found[key] !== undefined && found.intake === undefined).map((key) => ({
      path: [key],
      message: 'requires intake, which applies the facts: add "intake": {}',
    })),
    ...faultsOfNumber(found),
    ...faultsOfReceiving(found),
  ];
}

function faultsOfNumber({ smsReplies, sms }: Relevant): readonly OptionFault[] {
  if (smsReplies === undefined) return [];
  if (sms === undefined) return [{ path: ["smsReplies"], message: "requires sms: the number that people answer" }];
  if (!sms.originationIdentityArn?.includes(":sender-id/")) return [];
  const message = "requires a phone number or a pool in sms.originationIdentityArn: people cannot answer a sender id";
  return [{ path: ["smsReplies"], message }];
}

function faultsOfReceiving(found: Relevant): readonly OptionFault[] {
  const { region } = homeOf(found);
  if (found.replies === undefined || region === "" || RECEIVING_REGIONS.has(region)) return [];
  const regions = [...RECEIVING_REGIONS].join(", ");
  return [{ path: ["replies"], message: `SES receives no mail in ${region}; it does in ${regions}` }];
}
