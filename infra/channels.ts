import { Arn, ArnFormat, type Stack } from "aws-cdk-lib";
import { type IGrantable, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { CHANNELS, type Channel } from "../lib/domain/labels.ts";
import type { Configuration } from "./configuration.ts";

/** The environment and permissions that sending functions need for the stage's channels. */
interface Channels {
  readonly environment: Readonly<Record<string, string>>;
  readonly statements: readonly PolicyStatement[];
}

/** A channel that is not configured gets no environment and no permission. Its touches are refused with that reason. */
export function channelsOf(configuration: Configuration, stack: Stack): Channels {
  const parts = CHANNELS.map((channel) => PARTS[channel](configuration, stack));
  return {
    environment: Object.assign({}, ...parts.map(({ environment }) => environment)),
    statements: parts.flatMap(({ statements }) => statements),
  };
}

export function letUseChannels(grantee: IGrantable, { statements }: Channels): void {
  for (const statement of statements) grantee.grantPrincipal.addToPrincipalPolicy(statement.copy());
}

export const NO_CHANNELS: Channels = { environment: {}, statements: [] };

/** What each channel needs. */
const PARTS: Readonly<Record<Channel, (configuration: Configuration, stack: Stack) => Channels>> = {
  email,
  sms,
  webhook,
  task: () => NO_CHANNELS,
};

function email({ emailIdentityArns, unsubscribe }: Configuration): Channels {
  // SendEmail with raw content also requires the permission ses:SendRawEmail.
  const actions = ["ses:SendEmail", "ses:SendRawEmail"];
  return {
    environment: {
      EMAIL_TRANSPORT: "ses",
      ...(unsubscribe?.url && { EMAIL_UNSUBSCRIBE_URL: unsubscribe.url }),
      ...(unsubscribe?.mailto && { EMAIL_UNSUBSCRIBE_MAILTO: unsubscribe.mailto }),
    },
    statements: [new PolicyStatement({ actions, resources: [...emailIdentityArns] })],
  };
}

function sms({ sms: chosen }: Configuration, stack: Stack): Channels {
  if (!chosen) return NO_CHANNELS;
  const { originationIdentityArn, messageType, configurationSet } = chosen;
  const resources = [originationIdentityArn];
  if (configurationSet) resources.push(configurationSetArn(configurationSet, stack));
  return {
    environment: {
      SMS_ORIGINATION_IDENTITY: originationIdentityArn,
      SMS_MESSAGE_TYPE: messageType,
      ...(configurationSet && { SMS_CONFIGURATION_SET: configurationSet }),
    },
    statements: [new PolicyStatement({ actions: ["sms-voice:SendTextMessage"], resources })],
  };
}

function configurationSetArn(name: string, stack: Stack): string {
  const components = { service: "sms-voice", resource: "configuration-set", resourceName: name };
  return Arn.format({ ...components, arnFormat: ArnFormat.SLASH_RESOURCE_NAME }, stack);
}

function webhook({ webhook: chosen }: Configuration): Channels {
  if (!chosen) return NO_CHANNELS;
  const { url, secretArn, secretKeyArn } = chosen;
  const statements = [new PolicyStatement({ actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] })];
  if (secretKeyArn) statements.push(decryptThrough(secretKeyArn, secretArn));
  return { environment: { WEBHOOK_URL: url, WEBHOOK_SECRET_ARN: secretArn }, statements };
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
