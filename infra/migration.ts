import { Arn, ArnFormat, Duration, Stack } from "aws-cdk-lib";
import { SecurityGroup } from "aws-cdk-lib/aws-ec2";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { type FunctionOptions, Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { Trigger } from "aws-cdk-lib/triggers";
import { Construct } from "constructs";
import { type DirectDatabase, POSTGRESQL } from "./foundation.ts";
import { codeOf, FunctionRole, logGroupOf, type StageProps } from "./worker-function.ts";

interface MigrationProps extends StageProps {
  readonly database: DirectDatabase;
}

/** Long enough to build an index on a large table. */
const TIME_LIMIT = Duration.minutes(14);

/**
 * Migrates the database during a deploy. Constructs that depend on it are updated only after it succeeds.
 * A rollback runs the previous release's migrations, which are all applied already, so it reverts nothing.
 */
export class Migration extends Construct {
  readonly trigger: Trigger;
  readonly securityGroup: SecurityGroup;

  constructor(scope: Construct, id: string, props: MigrationProps) {
    super(scope, id);
    const logGroup = logGroupOf(this, props.names.migrateFunction, props);
    const role = new FunctionRole(this, "Role", { functionName: props.names.migrateFunction, logGroup });
    role.addToPolicy(this.letConnect(props.database));
    this.securityGroup = this.makeSecurityGroup(props);
    const handler = this.makeFunction(props, { role, logGroup, securityGroups: [this.securityGroup] });
    this.trigger = new Trigger(this, "Trigger", { handler, timeout: TIME_LIMIT });
    // Wait for the permissions and the network path to the database.
    this.trigger.executeAfter(handler, role, this.securityGroup, props.database.securityGroup);
  }

  private makeSecurityGroup({ foundation: { vpc }, database }: MigrationProps): SecurityGroup {
    const description = "Backstop: the function migrate, without inbound traffic.";
    const group = new SecurityGroup(this, "SecurityGroup", { vpc, description, allowAllOutbound: false });
    group.connections.allowTo(database.securityGroup, POSTGRESQL, "Backstop: migrations, directly to the database");
    return group;
  }

  private makeFunction(
    { configuration, names, revision, foundation, database }: MigrationProps,
    own: Pick<FunctionOptions, "role" | "logGroup" | "securityGroups">,
  ): LambdaFunction {
    return new LambdaFunction(this, "Function", {
      ...codeOf("migrate"),
      ...own,
      functionName: names.migrateFunction,
      description: "Backstop: applies the migrations during a deploy.",
      memorySize: 1024,
      timeout: TIME_LIMIT,
      vpc: foundation.vpc,
      vpcSubnets: foundation.subnets,
      environment: {
        DATABASE_HOST: database.host,
        DATABASE_PORT: "5432",
        DATABASE_NAME: configuration.database.name,
        DATABASE_USER: database.user,
        GIT_REVISION: revision,
        POWERTOOLS_SERVICE_NAME: names.migrateFunction,
        // Node does not trust the RDS certificate authority. Lambda provides it in this file.
        NODE_EXTRA_CA_CERTS: "/var/runtime/ca-cert.pem",
      },
      retryAttempts: 0,
    });
  }

  private letConnect({ resourceId, user }: DirectDatabase): PolicyStatement {
    const resourceName = `${resourceId}/${user}`;
    const components = {
      service: "rds-db",
      resource: "dbuser",
      resourceName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    };
    return new PolicyStatement({ actions: ["rds-db:connect"], resources: [Arn.format(components, Stack.of(this))] });
  }
}
