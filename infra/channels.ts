import { Arn, ArnFormat, type Stack } from "aws-cdk-lib";
import { InterfaceVpcEndpointAwsService } from "aws-cdk-lib/aws-ec2";
import { type IGrantable, PolicyStatement } from "aws-cdk-lib/aws-iam";
import * as z from "zod";
import { unsubscribeUrl } from "../lib/channels/settings.ts";
import { CHANNELS, type Channel } from "../lib/domain/labels.ts";

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

type Options = z.output<z.ZodObject<typeof channelOptions>>;

/** What sending functions need for the stage's channels. */
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
  readonly service: InterfaceVpcEndpointAwsService;
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

/** What each channel needs. */
const PARTS: Readonly<Record<Channel, (options: Options, stack: Stack) => ChannelNeeds>> = {
  email,
  sms,
  webhook,
  task: () => NO_CHANNELS,
};

function email(options: Options, stack: Stack): ChannelNeeds {
  const { emailIdentityArns, emailConfigurationSet, unsubscribe: chosen } = options;
  // SendEmail with raw content also requires the permission ses:SendRawEmail.
  const actions = ["ses:SendEmail", "ses:SendRawEmail"];
  const resources = [...emailIdentityArns];
  if (emailConfigurationSet) resources.push(configurationSetArn("ses", emailConfigurationSet, stack));
  return {
    ...NO_CHANNELS,
    environment: {
      EMAIL_TRANSPORT: "ses",
      ...(emailConfigurationSet && { EMAIL_CONFIGURATION_SET: emailConfigurationSet }),
      ...(chosen?.url && { EMAIL_UNSUBSCRIBE_URL: chosen.url }),
      ...(chosen?.mailto && { EMAIL_UNSUBSCRIBE_MAILTO: chosen.mailto }),
    },
    statements: [new PolicyStatement({ actions, resources })],
    endpoints: [{ id: "Email", service: InterfaceVpcEndpointAwsService.EMAIL, use: "mails through Amazon SES" }],
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

function webhook({ webhook: chosen }: Options): ChannelNeeds {
  if (!chosen) return NO_CHANNELS;
  const { url, secretArn, secretKeyArn } = chosen;
  const statements = [new PolicyStatement({ actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] })];
  if (secretKeyArn) statements.push(decryptThrough(secretKeyArn, secretArn));
  return {
    environment: { WEBHOOK_URL: url, WEBHOOK_SECRET_ARN: secretArn },
    statements,
    endpoints: [
      { id: "Secrets", service: InterfaceVpcEndpointAwsService.SECRETS_MANAGER, use: "the webhook's signing secret" },
    ],
    internet: true,
  };
}

/** The function may use the key only through Secrets Manager, and only for this secret. */
function decryptThrough(keyArn: string, secretArn: string): PolicyStatement {
  const region = secretArn.split(":").at(3) ?? "";
  return new PolicyStatement({
    actions: ["kms:Decrypt"],
    resources: [keyArn],
    conditions: {
      StringEquals: {
        "kms:ViaService": `secretsmanager.${region}.amazonaws.com`,
        "kms:EncryptionContext:SecretARN": secretArn,
      },
    },
  });
}
