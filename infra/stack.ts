import { type App, CfnOutput, Stack, Tags } from "aws-cdk-lib";
import { ManagedPolicy, PermissionsBoundary } from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import { namesOf, type StageNames } from "../lib/platform/names.ts";
import { Alarms } from "./alarms.ts";
import { type Configuration, homeOf } from "./configuration.ts";
import { RunDashboard } from "./dashboard.ts";
import { acknowledgeProviders } from "./database-roles.ts";
import { Delivery } from "./delivery.ts";
import { FollowUpsFunction } from "./follow-ups-function.ts";
import { FollowUpsSchedule } from "./follow-ups-schedule.ts";
import { type Foundation, foundationOf } from "./foundation.ts";
import { Intake } from "./intake.ts";
import { Migration } from "./migration.ts";
import { outputsOf } from "./outputs.ts";
import { TestEvents } from "./test-events.ts";

/** All resources of one stage. */
export class BackstopStack extends Stack {
  constructor(app: App, configuration: Configuration, revision: string) {
    const names = namesOf(configuration.stage);
    super(app, names.stack, {
      stackName: names.stack,
      description: `Backstop, stage ${configuration.stage}: follow-ups that stop when a meeting is booked.`,
      env: homeOf(configuration),
    });
    const foundation = foundationOf(this, configuration, names);
    const workers = this.makeWorkers(configuration, names, revision, foundation);
    this.migrateBefore(workers, configuration, names, revision, foundation);
    acknowledgeProviders(this);
    const { testEvents } = configuration;
    if (testEvents) {
      const createRegistry = testEvents === "createRegistry";
      new TestEvents(this, "TestEvents", { functionName: names.followUpsFunction, folder: "events", createRegistry });
      if (configuration.intake) {
        const intake = { functionName: names.intakeFunction, folder: "events/intake", createRegistry: false };
        new TestEvents(this, "IntakeTestEvents", intake);
      }
    }
    this.honourBoundary(configuration);
    Tags.of(this).add("application", "backstop");
    Tags.of(this).add("stage", configuration.stage);
    const outputs = outputsOf(configuration, names, revision, this.region);
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }

  private makeWorkers(
    configuration: Configuration,
    names: StageNames,
    revision: string,
    foundation: Foundation,
  ): readonly Construct[] {
    const shared = { configuration, names, revision, foundation };
    const delivery = configuration.delivery && new Delivery(this, "Delivery", { ...shared, ...configuration.delivery });
    const intake = configuration.intake && new Intake(this, "Intake", { ...shared, ...configuration.intake });
    const followUps = new FollowUpsFunction(this, "FollowUps", { ...shared, deliveries: delivery?.queue });
    const schedule = new FollowUpsSchedule(this, "Schedule", { configuration, names, function: followUps.function });
    const { proxyName } = foundation;
    const alarms = new Alarms(this, "Alarms", { ...shared, followUps, schedule, delivery, intake, proxyName });
    new RunDashboard(this, "Dashboard", {
      ...shared,
      alarms: alarms.all,
      functions: [followUps, delivery, intake].flatMap((worker) => worker?.function ?? []),
      queues: [
        ...[schedule.undeliveredTicks, followUps.failedRuns],
        ...(delivery ? [delivery.queue, delivery.failed] : []),
        ...(intake ? [intake.queue, intake.refused] : []),
      ],
      proxyName,
    });
    return [followUps, delivery, intake].filter((worker) => worker !== undefined);
  }

  /** Deploy order: roles, then migrations, then the functions that need both. */
  private migrateBefore(
    workers: readonly Construct[],
    configuration: Configuration,
    names: StageNames,
    revision: string,
    { vpc, subnets, direct, roles }: Foundation,
  ): void {
    if (roles) for (const worker of workers) worker.node.addDependency(roles);
    if (!configuration.migrate || !direct) return;
    const database = direct;
    const migration = new Migration(this, "Migration", { configuration, names, revision, vpc, subnets, database });
    if (roles) migration.trigger.executeAfter(roles);
    migration.trigger.executeBefore(...workers);
  }

  private honourBoundary({ permissionsBoundary }: Configuration): void {
    if (permissionsBoundary === undefined) return;
    const policy = ManagedPolicy.fromManagedPolicyArn(this, "PermissionsBoundary", permissionsBoundary);
    PermissionsBoundary.of(this).apply(policy);
  }
}
