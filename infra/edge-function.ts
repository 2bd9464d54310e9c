import { Arn, ArnFormat, type Duration, Stack, Validations } from "aws-cdk-lib";
import type { EventBus } from "aws-cdk-lib/aws-events";
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { type FunctionOptions, Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import type { LogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { mayDecryptSecrets } from "./decrypt-secrets.ts";
import { codeOf, logGroupOf, mayWrite, NODE_OPTIONS, type StageProps } from "./worker-function.ts";

interface EdgeFunctionProps extends StageProps {
  /** The file in functions/, without its extension. */
  readonly entry: string;
  readonly functionName: string;
  readonly timeout: Duration;
  readonly bus: EventBus;
  /** The secrets that it may read, by the end of their names after the stage's prefix. */
  readonly secrets: string;
  /** Permissions besides reading these secrets and putting events on the bus. */
  readonly statements?: readonly PolicyStatement[];
  readonly overrides: Pick<FunctionOptions, "description" | "maxEventAge" | "memorySize" | "retryAttempts"> & {
    readonly reservedConcurrentExecutions?: number;
  };
  readonly environment: Readonly<Record<string, string>>;
}

/** A function outside the VPC and without the database. It puts events on the stage's bus, and reads secrets by name. */
export function edgeFunction(scope: Construct, props: EdgeFunctionProps): LambdaFunction {
  const { configuration, names, revision, bus } = props;
  const logGroup = logGroupOf(scope, props.functionName, props);
  return new LambdaFunction(scope, "Function", {
    ...codeOf(props.entry),
    ...props.overrides,
    functionName: props.functionName,
    timeout: props.timeout,
    role: roleOf(scope, props, logGroup),
    logGroup,
    environment: {
      EVENT_BUS_NAME: bus.eventBusName,
      CONNECTION_SECRETS_PREFIX: names.secretsPrefix,
      LOG_LEVEL: configuration.logLevel,
      NODE_OPTIONS,
      GIT_REVISION: revision,
      ...props.environment,
    },
  });
}

function roleOf(scope: Construct, props: EdgeFunctionProps, logGroup: LogGroup): Role {
  const { names, key, bus, statements = [] } = props;
  const stack = Stack.of(scope);
  const secrets = Arn.format(
    {
      service: "secretsmanager",
      resource: "secret",
      resourceName: `${names.secretsPrefix}/${props.secrets}`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    },
    stack,
  );
  const own = [
    new PolicyStatement({ actions: ["events:PutEvents"], resources: [bus.eventBusArn] }),
    new PolicyStatement({ actions: ["secretsmanager:GetSecretValue"], resources: [secrets] }),
    ...statements,
    ...(key ? [mayDecryptSecrets(key.keyArn, secrets, stack.region)] : []),
  ];
  const role = new Role(scope, "Role", {
    assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
    inlinePolicies: { Log: mayWrite(logGroup), Facts: new PolicyDocument({ statements: own }) },
  });
  Validations.of(role).acknowledge({
    id: `AwsSolutions-IAM5[Resource::${secrets}]`,
    reason: "The secrets of workspaces are created after the deploy. Their names start with that of the stage.",
  });
  return role;
}
