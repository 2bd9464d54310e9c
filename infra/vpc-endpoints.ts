import { InterfaceVpcEndpointAwsService } from "aws-cdk-lib/aws-ec2";
import type { Configuration } from "./configuration.ts";

/** An AWS service that the functions call. A subnet without a NAT gateway needs an endpoint for it. */
export interface Endpoint {
  readonly id: string;
  readonly service: InterfaceVpcEndpointAwsService;
  readonly why: string;
}

/**
 * The endpoints that the configuration needs. Database, logs, metrics and failed invocations need none: RDS Proxy is
 * in the VPC, the function signs its own database tokens, and Lambda delivers the rest.
 */
export function endpointsOf(configuration: Configuration): readonly Endpoint[] {
  const { sms, webhook, delivery, intake } = configuration;
  const { EMAIL, PINPOINT_SMS_VOICE_V2, SECRETS_MANAGER, SQS } = InterfaceVpcEndpointAwsService;
  return [
    { id: "Email", service: EMAIL, why: "Amazon SES sends the mails" },
    ...(sms ? [{ id: "Sms", service: PINPOINT_SMS_VOICE_V2, why: "AWS End User Messaging sends the texts" }] : []),
    ...(webhook ? [{ id: "Secrets", service: SECRETS_MANAGER, why: "webhooks are signed with a secret" }] : []),
    ...(delivery || intake ? [{ id: "Queue", service: SQS, why: usesOfQueues(configuration).join(", and ") }] : []),
  ];
}

const usesOfQueues = ({ delivery, intake }: Configuration): readonly string[] => [
  ...(delivery ? ["touches are handed to the deliver function"] : []),
  ...(intake ? ["refused events are kept"] : []),
];

/** Only webhooks, of touches and of digests, go to the public internet. */
export const needsInternet = ({ webhook, digestWebhooks }: Configuration): boolean =>
  webhook !== undefined || digestWebhooks;
