import { type App, CfnOutput, Stack, Tags, Validations } from "aws-cdk-lib";
import { type ISecurityGroup, type IVpc, SecurityGroup, Vpc } from "aws-cdk-lib/aws-ec2";
import { ManagedPolicy, PermissionsBoundary } from "aws-cdk-lib/aws-iam";
import { DatabaseProxy, type IDatabaseProxy } from "aws-cdk-lib/aws-rds";
import { namesOf, type StageNames } from "../lib/platform/names.ts";
import { type Configuration, homeOf } from "./configuration.ts";
import { FollowUpsFunction } from "./follow-ups-function.ts";
import { FollowUpsSchedule } from "./follow-ups-schedule.ts";

/** Everything that one stage of Backstop has in an account, beside the network, the database and the proxy that were there before. */
export class BackstopStack extends Stack {
  constructor(app: App, configuration: Configuration) {
    const names = namesOf(configuration.stage);
    super(app, names.stack, {
      stackName: names.stack,
      description: `Backstop, stage ${configuration.stage}: follow-ups that stop when a meeting is booked.`,
      env: homeOf(configuration),
    });
    const { securityGroupId } = configuration.proxy;
    const proxySecurityGroup = SecurityGroup.fromSecurityGroupId(this, "ProxySecurityGroup", securityGroupId);
    const followUps = new FollowUpsFunction(this, "FollowUps", {
      configuration,
      names,
      vpc: this.findVpc(configuration),
      proxy: this.findProxy(configuration, proxySecurityGroup),
      proxySecurityGroup,
    });
    new FollowUpsSchedule(this, "Schedule", { configuration, names, function: followUps.function });
    this.honourBoundary(configuration);
    Tags.of(this).add("application", "backstop");
    Tags.of(this).add("stage", configuration.stage);
    this.tellWhatIsNext(configuration.stage, names);
  }

  private findVpc({ vpc }: Configuration): IVpc {
    const found = Vpc.fromVpcAttributes(this, "Vpc", {
      vpcId: vpc.vpcId,
      availabilityZones: [...vpc.availabilityZones],
      privateSubnetIds: [...vpc.privateSubnetIds],
    });
    Validations.of(found).acknowledge({
      id: "Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
      reason: "Nothing in this stack reads or changes the routes of the subnets.",
    });
    return found;
  }

  private findProxy({ proxy }: Configuration, securityGroup: ISecurityGroup): IDatabaseProxy {
    return DatabaseProxy.fromDatabaseProxyAttributes(this, "Proxy", {
      dbProxyName: proxy.name,
      dbProxyArn: proxy.arn,
      endpoint: proxy.endpoint,
      securityGroups: [securityGroup],
    });
  }

  private honourBoundary({ permissionsBoundary }: Configuration): void {
    if (permissionsBoundary === undefined) return;
    const policy = ManagedPolicy.fromManagedPolicyArn(this, "PermissionsBoundary", permissionsBoundary);
    PermissionsBoundary.of(this).apply(policy);
  }

  private tellWhatIsNext(stage: string, names: StageNames): void {
    const outputs: Record<string, string> = {
      FunctionName: names.followUpsFunction,
      ScheduleName: names.schedule,
      ScheduleGroupName: names.scheduleGroup,
      FireTestEvent: `aws lambda invoke --region ${this.region} --function-name ${names.followUpsFunction} --cli-binary-format raw-in-base64-out --payload '{"trigger":"manual","dryRun":true}' /dev/stdout`,
      ReadLog: `aws logs tail ${names.followUpsLogGroup} --region ${this.region} --follow`,
      PauseSchedule: `AWS_REGION=${this.region} npm run backstop -- schedule pause --stage ${stage}`,
    };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }
}
