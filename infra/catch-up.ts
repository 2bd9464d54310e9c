import { Arn, ArnFormat, Stack, Validations } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { CATCH_UP_PREFIX, type StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import type { FollowUpsSchedule } from "./follow-ups-schedule.ts";
import { shortestInterval } from "./schedule-interval.ts";

/** If the next tick is this close, the backlog waits for it. */
const NEAR_ENOUGH_MINUTES = 2;

/** Whether a run that leaves a backlog schedules another run before the next tick. */
export const catchesUp = ({ schedule }: Configuration): boolean =>
  shortestInterval(schedule.expression).toMinutes() > NEAR_ENOUGH_MINUTES;

/**
 * Lets the function create one-time schedules in the stage's group. Their name prefix is fixed, and so is their role,
 * which may only invoke this function. The function may also read the stage's schedule, to see whether it is paused.
 */
export function letCatchUp(target: LambdaFunction, schedule: FollowUpsSchedule, names: StageNames): void {
  const arnOf = (name: string) =>
    Arn.format(
      { service: "scheduler", resource: "schedule", resourceName: name, arnFormat: ArnFormat.SLASH_RESOURCE_NAME },
      Stack.of(target),
    );
  const oneTime = arnOf(`${names.scheduleGroup}/${CATCH_UP_PREFIX}*`);
  target.addEnvironment("CATCH_UP_SCHEDULE", names.schedule);
  target.addEnvironment("CATCH_UP_GROUP", names.scheduleGroup);
  target.addEnvironment("CATCH_UP_ROLE_ARN", schedule.role.roleArn);
  target.addEnvironment("CATCH_UP_DEAD_LETTERS_ARN", schedule.undeliveredTicks.queueArn);
  for (const statement of [
    new PolicyStatement({
      actions: ["scheduler:CreateSchedule"],
      resources: [oneTime],
    }),
    new PolicyStatement({
      actions: ["scheduler:GetSchedule"],
      resources: [arnOf(`${names.scheduleGroup}/${names.schedule}`)],
    }),
    new PolicyStatement({
      actions: ["iam:PassRole"],
      resources: [schedule.role.roleArn],
      conditions: { StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } },
    }),
  ]) {
    target.addToRolePolicy(statement);
  }
  acknowledgeNames(target, oneTime);
}

function acknowledgeNames(target: LambdaFunction, oneTime: string): void {
  if (!target.role) return;
  Validations.of(target.role).acknowledge({
    id: `AwsSolutions-IAM5[Resource::${oneTime}]`,
    reason: "The names of one-time schedules hold the minute for which they are; their group and prefix are fixed.",
  });
}
