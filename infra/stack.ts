import { type App, CfnOutput, Stack, Tags } from "aws-cdk-lib";
import { ManagedPolicy, PermissionsBoundary } from "aws-cdk-lib/aws-iam";
import { namesOf, type StageNames } from "../lib/platform/names.ts";
import { Alarms } from "./alarms.ts";
import { catchesUp, letCatchUp } from "./catch-up.ts";
import { type Configuration, homeOf } from "./configuration.ts";
import { RunDashboard } from "./dashboard.ts";
import { Delivery } from "./delivery.ts";
import { FollowUpsFunction } from "./follow-ups-function.ts";
import { FollowUpsSchedule } from "./follow-ups-schedule.ts";
import { existingFoundation, type Foundation } from "./foundation.ts";
import { outputsOf } from "./outputs.ts";

/** Everything that one stage of Backstop has in an account. */
export class BackstopStack extends Stack {
  constructor(app: App, configuration: Configuration, revision: string) {
    const names = namesOf(configuration.stage);
    super(app, names.stack, {
      stackName: names.stack,
      description: `Backstop, stage ${configuration.stage}: follow-ups that stop when a meeting is booked.`,
      env: homeOf(configuration),
    });
    const foundation = this.makeFoundation(configuration);
    this.makeWorkers(configuration, names, revision, foundation);
    this.honourBoundary(configuration);
    Tags.of(this).add("application", "backstop");
    Tags.of(this).add("stage", configuration.stage);
    const outputs = outputsOf(configuration, names, revision, this.region);
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }

  private makeFoundation(configuration: Configuration): Foundation {
    const { proxy } = configuration;
    if (!proxy) throw new Error("a database made by the stack is not built yet");
    return existingFoundation(this, configuration, proxy);
  }

  private makeWorkers(configuration: Configuration, names: StageNames, revision: string, foundation: Foundation): void {
    const shared = { configuration, names, revision, foundation };
    const delivery = configuration.delivery && new Delivery(this, "Delivery", { ...shared, ...configuration.delivery });
    const followUps = new FollowUpsFunction(this, "FollowUps", { ...shared, deliveries: delivery?.queue });
    const schedule = new FollowUpsSchedule(this, "Schedule", { configuration, names, function: followUps.function });
    if (catchesUp(configuration)) letCatchUp(followUps.function, schedule, names);
    const { proxyName } = foundation;
    const alarms = new Alarms(this, "Alarms", { ...shared, followUps, schedule, delivery, proxyName });
    new RunDashboard(this, "Dashboard", {
      ...shared,
      alarms: alarms.all,
      functions: [followUps.function, ...(delivery ? [delivery.function] : [])],
      queues: [schedule.undeliveredTicks, followUps.failedRuns, ...(delivery ? [delivery.queue, delivery.failed] : [])],
      proxyName,
    });
  }

  private honourBoundary({ permissionsBoundary }: Configuration): void {
    if (permissionsBoundary === undefined) return;
    const policy = ManagedPolicy.fromManagedPolicyArn(this, "PermissionsBoundary", permissionsBoundary);
    PermissionsBoundary.of(this).apply(policy);
  }
}
