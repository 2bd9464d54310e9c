import { Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { linksToOwnPage } from "./channels.ts";
import { MailEvents } from "./mail-events.ts";
import { MailReplies } from "./mail-replies.ts";
import type { Intake } from "./queue-workers.ts";
import { Reconcile } from "./reconcile.ts";
import { SmsReplies, twoWayCommand } from "./sms-replies.ts";
import { type LinkSettings, linksTo } from "./unsubscribe-links.ts";
import { Webhooks } from "./webhooks.ts";
import type { StageProps } from "./worker-function.ts";

interface Inbound {
  readonly webhooks: Webhooks | undefined;
  readonly reconcile: Reconcile | undefined;
  readonly links: LinkSettings | undefined;
  /** Stack outputs: addresses, and commands for the steps that the stack cannot do. */
  readonly outputs: Readonly<Record<string, string>>;
}

/** The parts of a stage that bring facts to the intake without the user's code. */
export function inboundOf(scope: Construct, props: StageProps, intake: Intake): Inbound {
  const { configuration } = props;
  const options = configuration.webhooks;
  const webhooks = options && new Webhooks(scope, "Webhooks", { ...props, options, bus: intake.bus });
  const linked = webhooks && linksToOwnPage(configuration);
  const sweeps = configuration.reconcile;
  const reconcile = sweeps && new Reconcile(scope, "Reconcile", { ...props, options: sweeps, bus: intake.bus });
  if (configuration.mailEvents) new MailEvents(scope, "MailEvents", { ...props, intake });
  return {
    webhooks,
    reconcile,
    links: linked ? linksTo(webhooks.url, webhooks.keys) : undefined,
    outputs: {
      ...(webhooks && outputsOfWebhooks(webhooks)),
      ...(webhooks && { ConnectTool: connectToolCommand(Stack.of(scope).region, configuration.stage) }),
      ...outputsOfSms(scope, props, intake),
      ...outputsOfMail(scope, props, intake),
    },
  };
}

function outputsOfWebhooks({ url, domain }: Webhooks): Readonly<Record<string, string>> {
  if (!domain) return { WebhooksUrl: url };
  const { name, regionalDomainName, regionalHostedZoneId } = domain;
  const record = `${name} CNAME ${regionalDomainName}, or in Route 53 an alias to it in the zone ${regionalHostedZoneId}`;
  return { WebhooksUrl: url, WebhooksDnsRecord: record };
}

/** The command that connects a workspace with a tool. */
const connectToolCommand = (region: string, stage: string): string =>
  `AWS_REGION=${region} npm run backstop -- connect <calendly, calcom or facts> --stage ${stage} --workspace <name>`;

function outputsOfSms(scope: Construct, props: StageProps, intake: Intake): Readonly<Record<string, string>> {
  const { smsReplies, sms } = props.configuration;
  if (!smsReplies || !sms) return {};
  const { topic } = new SmsReplies(scope, "SmsReplies", { ...props, intake });
  return { ConnectSmsReplies: twoWayCommand(sms.originationIdentityArn, topic.topicArn, Stack.of(scope).region) };
}

function outputsOfMail(scope: Construct, props: StageProps, intake: Intake): Readonly<Record<string, string>> {
  const { replies: options } = props.configuration;
  if (!options) return {};
  new MailReplies(scope, "MailReplies", { ...props, options, intake });
  const [, domain = ""] = options.address.split("@");
  return { RepliesDnsRecord: `${domain} MX 10 inbound-smtp.${Stack.of(scope).region}.amazonaws.com` };
}
