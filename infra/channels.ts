import { Arn, ArnFormat, type Stack } from "aws-cdk-lib";
import { type GatewayVpcEndpointAwsService, InterfaceVpcEndpointAwsService } from "aws-cdk-lib/aws-ec2";
import { type IGrantable, PolicyStatement } from "aws-cdk-lib/aws-iam";
import * as z from "zod";
import { unsubscribeUrl } from "../lib/channels/settings.ts";
import { CHANNELS, type Channel } from "../lib/domain/labels.ts";
import { namesOf } from "../lib/platform/names.ts";
import { mayDecryptSecrets } from "./decrypt-secrets.ts";

/** The ARN of one resource, without wildcards, because it is used to grant access. */
export const arnOf = (service: string, resource: string, what: string) =>
  z.string().regex(new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]+:\\d{12}:${resource}[^*?]+$`), `must be ${what}`);

const unsubscribe = z
  .strictObject({ url: unsubscribeUrl.optional(), mailto: z.email().optional() })
  .refine(({ url, mailto }) => url !== undefined || mailto !== undefined, { error: "requires url, mailto or both" });

const configurationSet = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "must be the name of a configuration set");

/** The options of a stage for its channels. */
export const channelOptions = {
  emailIdentityArns: z.array(arnOf("ses", "identity/", "the ARN of one SES identity")).min(1),
  /** Without it, SES uses the default configuration set of the identity, which the functions have no permission for. */
  emailConfigurationSet: configurationSet.optional(),
  unsubscribe: unsubscribe.optional(),
  sms: z
    .strictObject({
      originationIdentityArn: arnOf(
        "sms-voice",
        "(?:phone-number|pool|sender-id)/",
        "the ARN of one phone number, pool or sender id",
      ),
      messageType: z.enum(["PROMOTIONAL", "TRANSACTIONAL"]),
      configurationSet: configurationSet.optional(),
    })
    .optional(),
  webhook: z
    .strictObject({
      url: z
        .url({ protocol: /^https$/, error: "must be an https URL" })
        .refine((url) => !URL.parse(url)?.port, "must be on port 443"),
      secretArn: arnOf("secretsmanager", "secret:", "the whole ARN of one secret").regex(
        /-[A-Za-z0-9]{6}$/,
        "must end with the six characters that Secrets Manager adds to the name",
      ),
      secretKeyArn: arnOf("kms", "key/", "the ARN of one key").optional(),
    })
    .optional(),
};

/** The options for channels, and others that change what a sending function needs. */
type Options = z.output<z.ZodObject<typeof channelOptions>> & {
  readonly stage: string;
  readonly mailEvents?: object | undefined;
  readonly webhooks?: object | undefined;
};

/** The configuration set of every mail: the configured one, or else the one that the stack creates for `mailEvents`. */
export const configurationSetOf = ({ stage, emailConfigurationSet, mailEvents }: Options): string | undefined =>
  emailConfigurationSet ?? (mailEvents && namesOf(stage).mailEvents);

/** Whether mails link to the unsubscribe page of the stage. A page of the user's takes precedence. */
export const linksToOwnPage = ({ webhooks, unsubscribe: chosen }: Options): boolean => !!webhooks && !chosen?.url;

/** Environment, permissions and network of sending functions, for the stage's channels. */
interface ChannelNeeds {
  readonly environment: Readonly<Record<string, string>>;
  readonly statements: readonly PolicyStatement[];
  /** The AWS services that they call. */
  readonly endpoints: readonly VpcEndpoint[];
  /** Whether they send to hosts outside AWS. */
  readonly internet: boolean;
}

/** An AWS service that the functions call. A subnet without a NAT gateway needs a VPC endpoint for it. */
export interface VpcEndpoint {
  readonly id: string;
  readonly service: InterfaceVpcEndpointAwsService | GatewayVpcEndpointAwsService;
  readonly use: string;
}

/** A channel that is not configured gets no environment and no permission. Its touches are refused with that reason. */
export function channelsOf(options: Options, stack: Stack): ChannelNeeds {
  const parts = CHANNELS.map((channel) => PARTS[channel](options, stack));
  return {
    environment: Object.assign({}, ...parts.map(({ environment }) => environment)),
    statements: parts.flatMap(({ statements }) => statements),
    endpoints: parts.flatMap(({ endpoints }) => endpoints),
    internet: parts.some(({ internet }) => internet),
  };
}

export function letUseChannels(grantee: IGrantable, { statements }: ChannelNeeds): void {
  for (const statement of statements) grantee.grantPrincipal.addToPrincipalPolicy(statement.copy());
}

export const NO_CHANNELS: ChannelNeeds = { environment: {}, statements: [], endpoints: [], internet: false };

/** The needs of each channel. */
const PARTS: Readonly<Record<Channel, (options: Options, stack: Stack) => ChannelNeeds>> = {
  email,
  sms,
  webhook,
  task: () => NO_CHANNELS,
};

function email(options: Options, stack: Stack): ChannelNeeds {
  const { emailIdentityArns, unsubscribe: chosen } = options;
  const set = configurationSetOf(options);
  // SendEmail with raw content also requires the permission ses:SendRawEmail.
  const actions = ["ses:SendEmail", "ses:SendRawEmail"];
  const resources = [...emailIdentityArns];
  if (set) resources.push(configurationSetArn("ses", set, stack));
  const endpoints = [
    { id: "Email", service: InterfaceVpcEndpointAwsService.EMAIL, use: "mails through Amazon SES" },
    ...(linksToOwnPage(options) ? [secretsEndpoint("the key of unsubscribe links")] : []),
  ];
  return {
    ...NO_CHANNELS,
    environment: {
      EMAIL_TRANSPORT: "ses",
      ...(set && { EMAIL_CONFIGURATION_SET: set }),
      ...(chosen?.url && { EMAIL_UNSUBSCRIBE_URL: chosen.url }),
      ...(chosen?.mailto && { EMAIL_UNSUBSCRIBE_MAILTO: chosen.mailto }),
    },
    statements: [new PolicyStatement({ actions, resources })],
    endpoints,
  };
}

function sms({ sms: chosen }: Options, stack: Stack): ChannelNeeds {
  if (!chosen) return NO_CHANNELS;
  const { originationIdentityArn, messageType, configurationSet: set } = chosen;
  const resources = [originationIdentityArn];
  if (set) resources.push(configurationSetArn("sms-voice", set, stack));
  const service = InterfaceVpcEndpointAwsService.PINPOINT_SMS_VOICE_V2;
  return {
    ...NO_CHANNELS,
    environment: {
      SMS_ORIGINATION_IDENTITY: originationIdentityArn,
      SMS_MESSAGE_TYPE: messageType,
      ...(set && { SMS_CONFIGURATION_SET: set }),
    },
    statements: [new PolicyStatement({ actions: ["sms-voice:SendTextMessage"], resources })],
    endpoints: [{ id: "Sms", service, use: "texts through AWS End User Messaging" }],
  };
}

function configurationSetArn(service: string, name: string, stack: Stack): string {
  const components = { service, resource: "configuration-set", resourceName: name };
  return Arn.format({ ...components, arnFormat: ArnFormat.SLASH_RESOURCE_NAME }, stack);
}

const secretsEndpoint = (use: string): VpcEndpoint => ({
  id: "Secrets",
  service: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
  use,
});

function webhook({ webhook: chosen }: Options): ChannelNeeds {
  if (!chosen) return NO_CHANNELS;
  const { url, secretArn, secretKeyArn } = chosen;
  const statements = [new PolicyStatement({ actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] })];
  const region = secretArn.split(":").at(3) ?? "";
  if (secretKeyArn) statements.push(mayDecryptSecrets(secretKeyArn, secretArn, region));
  return {
    environment: { WEBHOOK_URL: url, WEBHOOK_SECRET_ARN: secretArn },
    statements,
    endpoints: [secretsEndpoint("the webhook's signing secret")],
    internet: true,
  };
}
