import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { namesOf } from "../../lib/platform/names.ts";
import { type ErrorAdvice, each, whenUnreachable, withAdvice } from "../aws.ts";
import { Problem } from "../problem.ts";

/** The address of a stage's webhooks, without a slash at its end: an output of its stack. Throws known errors as Problem. */
export async function webhooksUrlOf(stage: string): Promise<string> {
  const { stack } = namesOf(stage);
  const client = new CloudFormationClient({ maxAttempts: 4 });
  try {
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: stack }));
    const url = Stacks?.[0]?.Outputs?.find(({ OutputKey }) => OutputKey === "WebhooksUrl")?.OutputValue;
    if (url !== undefined) return url.replace(/\/+$/, "");
    throw new Problem(`the stack ${stack} has no webhooks: add "webhooks": {} to the stage in cdk.json, and deploy`);
  } catch (thrown) {
    throw withAdvice(thrown, ADVICE, stack);
  } finally {
    client.destroy();
  }
}

const ADVICE: ErrorAdvice<string> = {
  ValidationError: (stack) =>
    `there is no stack ${stack} in this account and region: deploy the stage, or check --stage and AWS_REGION`,
  ...each(["AccessDenied", "AccessDeniedException"], (stack: string) => {
    return `the credentials lack the permission cloudformation:DescribeStacks for ${stack}`;
  }),
  ...whenUnreachable("CloudFormation"),
};
