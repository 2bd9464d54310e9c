import { RemovalPolicy, Stack, Validations } from "aws-cdk-lib";
import { type IGrantable, PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { Construct } from "constructs";
import { mayDecryptSecrets } from "./decrypt-secrets.ts";

/**
 * The keys that sign the tokens in unsubscribe links. Its JSON is that of `unsubscribeKeys`: the current key, which the
 * stack generates, and former ones. A destroy keeps it, because mails with these links outlive a stage.
 */
export class UnsubscribeSecret extends Construct {
  readonly secretArn: string;
  readonly #key: IKey | undefined;

  constructor(scope: Construct, id: string, secretName: string, key: IKey | undefined) {
    super(scope, id);
    this.#key = key;
    const secret = new Secret(this, "Secret", {
      secretName,
      description: "Backstop: the keys of the unsubscribe links in mails. Rotate them as docs/deploy.md says.",
      generateSecretString: {
        secretStringTemplate: JSON.stringify({ former: [] }),
        generateStringKey: "current",
        passwordLength: 64,
        excludePunctuation: true,
      },
      ...(key && { encryptionKey: key }),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    Validations.of(secret).acknowledge({
      id: "AwsSolutions-SMG4",
      reason: "A person rotates the key: the former one must stay in the secret for as long as mails name it.",
    });
    this.secretArn = secret.secretArn;
  }

  letRead({ grantPrincipal }: IGrantable): void {
    const statement = { actions: ["secretsmanager:GetSecretValue"], resources: [this.secretArn] };
    grantPrincipal.addToPrincipalPolicy(new PolicyStatement(statement));
    if (!this.#key) return;
    const { region } = Stack.of(this);
    grantPrincipal.addToPrincipalPolicy(mayDecryptSecrets(this.#key.keyArn, this.secretArn, region));
  }
}

/** Gives a sending function the environment and permission for unsubscribe links. */
export interface LinkSettings {
  readonly environment: Readonly<Record<string, string>>;
  letSign(sender: IGrantable): void;
}

export const linksTo = (baseUrl: string, keys: UnsubscribeSecret): LinkSettings => ({
  environment: { UNSUBSCRIBE_BASE_URL: baseUrl, UNSUBSCRIBE_SECRET_ARN: keys.secretArn },
  letSign: (sender) => keys.letRead(sender),
});
