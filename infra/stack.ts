import { type App, CfnOutput, Stack, Tags } from "aws-cdk-lib";
import type { ISecurityGroup } from "aws-cdk-lib/aws-ec2";
import { ManagedPolicy, PermissionsBoundary } from "aws-cdk-lib/aws-iam";
import { namesOf, type StageNames } from "../lib/platform/names.ts";
import { Alarms } from "./alarms.ts";
import type { Configuration } from "./configuration.ts";
import { connectionsText } from "./connections.ts";
import { acknowledgeProviders } from "./created-database.ts";
import { RunDashboard } from "./dashboard.ts";
import { stageKeyOf } from "./encryption.ts";
import { FollowUpsFunction } from "./follow-ups.ts";
import { foundationOf } from "./foundation.ts";
import { inboundOf } from "./inbound.ts";
import { Migration } from "./migration.ts";
import { needsInternet, vpcEndpointsOf } from "./network.ts";
import { Operate } from "./operate.ts";
import { homeOf } from "./placement.ts";
import { Delivery, Intake } from "./queue-workers.ts";
import type { Reconcile } from "./reconcile.ts";
import { SavedQueries } from "./saved-queries.ts";
import { TestEvents } from "./test-events.ts";
import { TickSchedule } from "./tick-schedule.ts";
import type { Webhooks } from "./webhooks.ts";
import { logGroupNameOf, type StageProps, type WorkerFunction } from "./worker-function.ts";

type Worker = FollowUpsFunction | Delivery | Intake | WorkerFunction;

/** The parts of a stage that alarms, queries and the dashboard watch. */
interface Parts {
  readonly followUps: FollowUpsFunction;
  readonly delivery: Delivery | undefined;
  readonly intake: Intake | undefined;
  readonly operate: Operate;
  readonly webhooks: Webhooks | undefined;
  readonly reconcile: Reconcile | undefined;
}

/** All resources of one stage. */
export class BackstopStack extends Stack {
  readonly #zones: readonly string[];

  constructor(app: App, configuration: Configuration, revision: string) {
    const names = namesOf(configuration.stage);
    super(app, names.stack, {
      stackName: names.stack,
      description: `Backstop, stage ${configuration.stage}: follow-ups that stop when a meeting is booked.`,
      env: homeOf(configuration),
      terminationProtection: configuration.terminationProtection,
    });
    this.#zones = configuration.vpc.availabilityZones;
    const key = stageKeyOf(this, configuration, names);
    const foundation = foundationOf(this, { configuration, names, key });
    const props: StageProps = { configuration, names, revision, foundation, key };
    const workers = this.makeParts(props);
    const migration = this.migrateBefore(workers, props);
    acknowledgeProviders(this);
    this.makeTestEvents(props);
    this.applyBoundary(configuration);
    Tags.of(this).add("application", "backstop");
    Tags.of(this).add("stage", configuration.stage);
    const outputs = requiredRules(configuration, workers, migration);
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }

  /** The configured zones. The CDK would ask the account for them, with credentials. */
  override get availabilityZones(): string[] {
    return [...this.#zones];
  }

  private makeParts(common: StageProps): readonly Worker[] {
    const { configuration } = common;
    const intake = configuration.intake && new Intake(this, "Intake", { ...common, ...configuration.intake });
    const inbound = intake && inboundOf(this, common, intake);
    const props = { ...common, links: inbound?.links };
    const delivery = configuration.delivery && new Delivery(this, "Delivery", { ...props, ...configuration.delivery });
    const followUps = new FollowUpsFunction(this, "FollowUps", { ...props, deliveries: delivery?.queue });
    const operate = new Operate(this, "Operate", props);
    const { webhooks, reconcile } = inbound ?? {};
    this.watch(props, { followUps, delivery, intake, operate, webhooks, reconcile });
    const outputs = { ...outputsOf(props, this), ...inbound?.outputs };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
    return [followUps, delivery, intake, operate.look, operate.operate].filter((worker) => worker !== undefined);
  }

  private watch(props: StageProps, { operate: { look, operate }, ...parts }: Parts): void {
    const { followUps, delivery, intake, webhooks, reconcile } = parts;
    const schedule = this.makeSchedule(props, followUps);
    const alarms = new Alarms(this, "Alarms", { ...props, ...parts, schedule });
    const all = { ...parts, look, operate };
    new SavedQueries(this, "Queries", { names: props.names, ...all });
    new RunDashboard(this, "Dashboard", {
      ...props,
      alarms: alarms.all,
      functions: Object.values(all).flatMap((worker) => worker?.function ?? []),
      queues: [
        ...[schedule.undeliveredTicks, followUps.failedRuns],
        ...(delivery ? [delivery.queue, delivery.failed] : []),
        ...(intake ? [intake.queue, intake.refused] : []),
        ...(reconcile ? [reconcile.schedule.undeliveredTicks] : []),
      ],
      webhooks,
    });
  }

  private makeSchedule({ configuration, names, key }: StageProps, followUps: FollowUpsFunction): TickSchedule {
    return new TickSchedule(this, "Schedule", {
      names: { schedule: names.schedule, group: names.scheduleGroup, undelivered: names.undeliveredTicks },
      description: "Backstop: starts a run of the follow-ups. Pause it with: backstop schedule pause",
      ...configuration.schedule,
      enabled: !configuration.paused,
      key,
      function: followUps.function,
    });
  }

  /** Deploy order: roles, then migrations, then the functions that need both. */
  private migrateBefore(workers: readonly Worker[], props: StageProps): Migration | undefined {
    const { direct: database, roles } = props.foundation;
    if (roles) for (const worker of workers) worker.node.addDependency(roles);
    if (!props.configuration.migrate || !database) return undefined;
    const migration = new Migration(this, "Migration", { ...props, database });
    if (roles) migration.trigger.executeAfter(roles);
    migration.trigger.executeBefore(...workers);
    return migration;
  }

  private makeTestEvents({ configuration, names }: StageProps): void {
    const { testEvents, intake, webhooks, reconcile } = configuration;
    if (!testEvents) return;
    const createRegistry = testEvents === "createRegistry";
    new TestEvents(this, "TestEvents", { functionName: names.followUpsFunction, folder: "events", createRegistry });
    const others = [
      ["Look", names.lookFunction, "events/look"],
      ["Operate", names.operateFunction, "events/operate"],
      ...(intake ? [["Intake", names.intakeFunction, "events/intake"] as const] : []),
      ...(webhooks ? [["Webhooks", names.webhooksFunction, "events/webhooks"] as const] : []),
      ...(reconcile ? [["Reconcile", names.reconcileFunction, "events/reconcile"] as const] : []),
    ] as const;
    for (const [id, functionName, folder] of others)
      new TestEvents(this, `${id}TestEvents`, { functionName, folder, createRegistry: false });
  }

  private applyBoundary({ permissionsBoundary }: Configuration): void {
    if (permissionsBoundary === undefined) return;
    const policy = ManagedPolicy.fromManagedPolicyArn(this, "PermissionsBoundary", permissionsBoundary);
    PermissionsBoundary.of(this).apply(policy);
  }
}

/** Inbound rules that a person must add, if the stage does not change existing security groups. */
function requiredRules(
  { proxy, migrate, changeExistingSecurityGroups }: Configuration,
  workers: readonly Worker[],
  migration: Migration | undefined,
): Readonly<Record<string, string>> {
  if (!proxy || changeExistingSecurityGroups) return {};
  const groups = workers.flatMap((worker) => worker.function.connections.securityGroups);
  const rule = (to: string, from: readonly ISecurityGroup[]) =>
    `${to} from ${from.map(({ securityGroupId }) => securityGroupId).join(", ")}`;
  const rules = [rule(proxy.securityGroupId, groups)];
  if (migration && migrate?.securityGroupId) rules.push(rule(migrate.securityGroupId, [migration.securityGroup]));
  return { RequiredRules: `allow inbound TCP 5432 to ${rules.join("; to ")}` };
}

/** Stack outputs: the names of the resources, and commands for the next steps. */
function outputsOf({ configuration, names, revision }: StageProps, stack: Stack): Readonly<Record<string, string>> {
  const { region } = stack;
  const payload = '{"trigger":"manual","dryRun":true}';
  return {
    Revision: revision,
    FunctionName: names.followUpsFunction,
    LookFunctionName: names.lookFunction,
    OperateFunctionName: names.operateFunction,
    ScheduleName: names.schedule,
    ScheduleGroupName: names.scheduleGroup,
    FireTestEvent: `aws lambda invoke --region ${region} --function-name ${names.followUpsFunction} --cli-binary-format raw-in-base64-out --payload '${payload}' /dev/stdout`,
    ReadLog: `aws logs tail ${logGroupNameOf(names.followUpsFunction)} --region ${region} --follow`,
    LookAtDashboard: `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards/dashboard/${names.dashboard}`,
    ListWorkspaces: `AWS_REGION=${region} npm run backstop -- workspaces list --stage ${configuration.stage}`,
    PauseSchedule: `AWS_REGION=${region} npm run backstop -- schedule pause --stage ${configuration.stage}`,
    ...(configuration.intake && {
      EventBusName: names.eventBus,
      PutEvent: `aws events put-events --region ${region} --entries '${exampleEntry(names)}'`,
    }),
    MostConnections: connectionsText(configuration),
    RequiredEndpoints: requiredEndpoints(configuration, stack),
  };
}

/** Example event: an opt-out with placeholders. */
function exampleEntry({ eventBus }: StageNames): string {
  const detail = { workspaceId: "…", eventId: "…", occurredAt: "2026-11-25T14:00:00Z", lead: { email: "…" } };
  const entry = { EventBusName: eventBus, Source: "…", DetailType: "lead.opted_out", Detail: JSON.stringify(detail) };
  return JSON.stringify([entry]);
}

function requiredEndpoints(configuration: Configuration, stack: Stack): string {
  const endpoints = vpcEndpointsOf(configuration, stack).map(({ id, use }) => `${id} (${use})`);
  const internet = needsInternet(configuration, stack) ? "; webhooks need a NAT gateway, because they leave AWS" : "";
  return `without a NAT gateway, the subnets need VPC endpoints for: ${endpoints.join(", ")}${internet}`;
}
