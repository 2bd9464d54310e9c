import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import { endpointsOf, needsInternet } from "./vpc-endpoints.ts";

/** Stack outputs: the names of the resources, and commands for the next steps. */
export function outputsOf(
  configuration: Configuration,
  names: StageNames,
  revision: string,
  region: string,
): Readonly<Record<string, string>> {
  const { stage } = configuration;
  const payload = '{"trigger":"manual","dryRun":true}';
  return {
    Revision: revision,
    FunctionName: names.followUpsFunction,
    ScheduleName: names.schedule,
    ScheduleGroupName: names.scheduleGroup,
    FireTestEvent: `aws lambda invoke --region ${region} --function-name ${names.followUpsFunction} --cli-binary-format raw-in-base64-out --payload '${payload}' /dev/stdout`,
    ReadLog: `aws logs tail ${names.followUpsLogGroup} --region ${region} --follow`,
    LookAtDashboard: `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards/dashboard/${names.dashboard}`,
    PauseSchedule: `AWS_REGION=${region} npm run backstop -- schedule pause --stage ${stage}`,
    ...(configuration.intake && {
      EventBusName: names.eventBus,
      PutEvent: `aws events put-events --region ${region} --entries '${entryOf(names)}'`,
    }),
    WaysOut: waysOutText(configuration),
  };
}

/** Example event: an opt-out with placeholders. */
function entryOf({ eventBus }: StageNames): string {
  const detail = { workspaceId: "…", eventId: "…", occurredAt: "2026-11-25T14:00:00Z", lead: { email: "…" } };
  const entry = { EventBusName: eventBus, Source: "…", DetailType: "lead.opted_out", Detail: JSON.stringify(detail) };
  return JSON.stringify([entry]);
}

function waysOutText(configuration: Configuration): string {
  const endpoints = endpointsOf(configuration).map(({ id, why }) => `${id} (${why})`);
  const internet = needsInternet(configuration) ? "; and a NAT gateway, for webhooks leave AWS" : "";
  return `without a NAT gateway the subnets need endpoints for: ${endpoints.join(", ")}${internet}`;
}
