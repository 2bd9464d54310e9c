import { InterfaceVpcEndpointAwsService } from "aws-cdk-lib/aws-ec2";
import { catchesUp } from "./catch-up.ts";
import type { Configuration } from "./configuration.ts";

/** The cloud development kit has no name for it. */
const SCHEDULER = new InterfaceVpcEndpointAwsService("scheduler");

/** A service of AWS that the functions call themselves, and that a subnet without a NAT gateway reaches by an endpoint. */
export interface WayOut {
  readonly id: string;
  readonly service: InterfaceVpcEndpointAwsService;
  readonly why: string;
}

/**
 * The endpoints that the chosen channels need. The database, its tokens, logs, metrics and failure destinations need none:
 * RDS Proxy is inside the VPC, tokens are signed in the function, and Lambda itself delivers the rest.
 */
export function waysOutOf(configuration: Configuration): readonly WayOut[] {
  const { sms, webhook, delivery, intake } = configuration;
  const { EMAIL, PINPOINT_SMS_VOICE_V2, SECRETS_MANAGER, SQS } = InterfaceVpcEndpointAwsService;
  return [
    { id: "Email", service: EMAIL, why: "Amazon SES sends the mails" },
    ...(catchesUp(configuration)
      ? [{ id: "Scheduler", service: SCHEDULER, why: "a run that leaves a backlog asks for another one" }]
      : []),
    ...(sms ? [{ id: "Sms", service: PINPOINT_SMS_VOICE_V2, why: "AWS End User Messaging sends the texts" }] : []),
    ...(webhook ? [{ id: "Secrets", service: SECRETS_MANAGER, why: "webhooks are signed with a secret" }] : []),
    ...(delivery || intake ? [{ id: "Queue", service: SQS, why: usesOfQueues(configuration).join(", and ") }] : []),
  ];
}

const usesOfQueues = ({ delivery, intake }: Configuration): readonly string[] => [
  ...(delivery ? ["touches are handed to the deliver function"] : []),
  ...(intake ? ["refused events are kept"] : []),
];

/** Only webhooks leave AWS: their endpoint is on the public internet. */
export const needsInternet = ({ webhook }: Configuration): boolean => webhook !== undefined;
