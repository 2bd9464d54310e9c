import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import { needsInternet, waysOutOf } from "./ways-out.ts";

/** What a person is told after a deploy: what is there, and what to do next. */
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
    WaysOut: waysOutText(configuration),
  };
}

function waysOutText(configuration: Configuration): string {
  const endpoints = waysOutOf(configuration).map(({ id, why }) => `${id} (${why})`);
  const internet = needsInternet(configuration) ? "; and a NAT gateway, for webhooks leave AWS" : "";
  return `without a NAT gateway the subnets need endpoints for: ${endpoints.join(", ")}${internet}`;
}
