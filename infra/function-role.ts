import { Arn, type ArnComponents, ArnFormat, Stack, Validations } from "aws-cdk-lib";
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";

export interface FunctionRoleProps {
  readonly functionName: string;
  readonly logGroup: ILogGroup;
}

const NETWORK_INTERFACE_ACTIONS = [
  "ec2:AssignPrivateIpAddresses",
  "ec2:CreateNetworkInterface",
  "ec2:DeleteNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:UnassignPrivateIpAddresses",
];

/**
 * Base role of a function in the VPC: it may write its own log, and Lambda may manage its network interfaces.
 * The AWS managed policies would allow every log group of the account.
 */
export class FunctionRole extends Role {
  constructor(scope: Construct, id: string, props: FunctionRoleProps) {
    super(scope, id, {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: {
        Log: document(
          new PolicyStatement({
            actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
            resources: [props.logGroup.logGroupArn],
          }),
        ),
        Network: document(
          new PolicyStatement({ actions: NETWORK_INTERFACE_ACTIONS, resources: ["*"] }),
          // The Lambda service needs these; the function's code does not.
          new PolicyStatement({
            effect: Effect.DENY,
            actions: NETWORK_INTERFACE_ACTIONS,
            resources: ["*"],
            conditions: { ArnEquals: { "lambda:SourceFunctionArn": arnOf(scope, props.functionName) } },
          }),
        ),
      },
    });
    Validations.of(this).acknowledge({
      id: "AwsSolutions-IAM5[Resource::*]",
      reason:
        "Lambda makes network interfaces whose ids nobody knows beforehand; the code of the function is denied the same actions.",
    });
  }
}

function document(...statements: PolicyStatement[]): PolicyDocument {
  return new PolicyDocument({ statements });
}

function arnOf(scope: Construct, functionName: string): string {
  const components: ArnComponents = {
    service: "lambda",
    resource: "function",
    resourceName: functionName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  };
  return Arn.format(components, Stack.of(scope));
}
