import { Arn, ArnFormat, Duration, RemovalPolicy, Stack, Validations } from "aws-cdk-lib";
import { Match, Rule } from "aws-cdk-lib/aws-events";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { BlockPublicAccess, Bucket, BucketEncryption, type CfnBucket } from "aws-cdk-lib/aws-s3";
import { CfnReceiptRule } from "aws-cdk-lib/aws-ses";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import type { Intake } from "./queue-workers.ts";

interface MailRepliesProps {
  readonly options: NonNullable<Configuration["replies"]>;
  readonly names: StageNames;
  readonly key: IKey | undefined;
  readonly intake: Intake;
}

/** As long as the queues keep the events that name the mails. */
const KEPT = Duration.days(14);

/** The object that SES writes when a rule is created, to see whether it may. */
const PROBE = "AMAZON_SES_SETUP_NOTIFICATION";

/**
 * Mails that people send. A receipt rule in the account's active rule set stores them in a bucket. The bucket's events
 * `Object Created` reach the intake through the default bus, with bucket and key.
 */
export class MailReplies extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: MailRepliesProps) {
    super(scope, id);
    this.bucket = this.makeBucket(props.key);
    this.letStore(props);
    this.makeReceiptRule(props);
    this.letRead(props);
    new Rule(this, "Rule", {
      ruleName: props.names.mailReplies,
      description: "Backstop: reports mails that people sent to the intake.",
      eventPattern: {
        source: ["aws.s3"],
        detailType: ["Object Created"],
        detail: { bucket: { name: [this.bucket.bucketName] }, object: { key: Match.anythingButSuffix(PROBE) } },
      },
      targets: [props.intake.asTarget()],
    });
  }

  private makeBucket(key: IKey | undefined): Bucket {
    const bucket = new Bucket(this, "Bucket", {
      ...(key
        ? { encryption: BucketEncryption.KMS, encryptionKey: key, bucketKeyEnabled: true }
        : { encryption: BucketEncryption.S3_MANAGED }),
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      lifecycleRules: [{ expiration: KEPT, abortIncompleteMultipartUploadAfter: Duration.days(1) }],
      // CloudFormation cannot delete a bucket with mails. It empties itself.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // The CDK's option would add a custom resource with a function of its own.
    const resource = bucket.node.defaultChild as CfnBucket;
    resource.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
    Validations.of(bucket).acknowledge({
      id: "AwsSolutions-S1",
      reason: "Only SES writes and only the intake reads. CloudTrail can record both as data events.",
    });
    return bucket;
  }

  /** @see https://docs.aws.amazon.com/ses/latest/dg/receiving-email-permissions.html */
  private letStore({ options, names, key }: MailRepliesProps): void {
    const stack = Stack.of(this);
    const resourceName = `${options.ruleSet}:receipt-rule/${names.mailReplies}`;
    const components = { service: "ses", resource: "receipt-rule-set", resourceName };
    const rule = Arn.format({ ...components, arnFormat: ArnFormat.SLASH_RESOURCE_NAME }, stack);
    const principals = [new ServicePrincipal("ses.amazonaws.com")];
    const conditions = { StringEquals: { "aws:SourceAccount": stack.account, "aws:SourceArn": rule } };
    const resources = [this.bucket.arnForObjects("*")];
    this.bucket.addToResourcePolicy(
      new PolicyStatement({ principals, actions: ["s3:PutObject"], resources, conditions }),
    );
    // A large mail is uploaded in parts, which S3 decrypts to join them.
    const actions = ["kms:Decrypt", "kms:GenerateDataKey*"];
    key?.addToResourcePolicy(new PolicyStatement({ principals, actions, resources: ["*"], conditions }));
  }

  private letRead({ intake, key }: MailRepliesProps): void {
    intake.function.addEnvironment("INBOUND_MAIL_BUCKET", this.bucket.bucketName);
    const resources = [this.bucket.arnForObjects("*")];
    intake.function.addToRolePolicy(new PolicyStatement({ actions: ["s3:GetObject"], resources }));
    // Without it, S3 denies access to a mail that has expired, instead of saying that there is none.
    const list = { actions: ["s3:ListBucket"], resources: [this.bucket.bucketArn] };
    intake.function.addToRolePolicy(new PolicyStatement(list));
    const bucketId = Stack.of(this).getLogicalId(this.bucket.node.defaultChild as CfnBucket);
    Validations.of(intake.function.role ?? intake.function).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${bucketId}.Arn>/*]`,
      reason: "The mails have names that SES chooses. The bucket holds nothing else.",
    });
    if (!key) return;
    const conditions = { StringEquals: { "kms:ViaService": `s3.${Stack.of(this).region}.amazonaws.com` } };
    intake.function.addToRolePolicy(
      new PolicyStatement({ actions: ["kms:Decrypt"], resources: [key.keyArn], conditions }),
    );
  }

  private makeReceiptRule({ options, names }: MailRepliesProps): void {
    const rule = new CfnReceiptRule(this, "ReceiptRule", {
      ruleSetName: options.ruleSet,
      rule: {
        name: names.mailReplies,
        enabled: true,
        // Matches plus tags as well.
        recipients: [options.address],
        // Adds the verdicts on spam and viruses as headers.
        scanEnabled: true,
        // A mail that came without TLS may be an opt-out.
        tlsPolicy: "Optional",
        actions: [{ s3Action: { bucketName: this.bucket.bucketName } }],
      },
    });
    // SES writes to the bucket when the rule is created.
    if (this.bucket.policy) rule.node.addDependency(this.bucket.policy);
  }
}
