import { Problem } from "./problem.ts";

/** Which schedule is meant. */
export interface Place {
  readonly stage: string;
  readonly name: string;
  readonly group: string;
}

export const ENOUGH_ATTEMPTS = 4;

/** What a person can do about each fault, by the name or the code that the SDK gives it. */
const ADVICE: Readonly<Record<string, (place: Place) => string>> = {
  ResourceNotFoundException: ({ group, name }) =>
    `there is no schedule ${group}/${name} in this account and region: deploy the stage, or check --stage, --name, --group and AWS_REGION`,
  CredentialsProviderError: () => "no AWS credentials were found: set AWS_PROFILE, or sign in with: aws sso login",
  "Region is missing": () => "no AWS region is set: set AWS_REGION to the region that the stage was deployed to",
  ThrottlingException: () => `AWS refused ${ENOUGH_ATTEMPTS} times because of too many requests: try again in a minute`,
  AccessDeniedException: ({ group, name }) =>
    `these credentials may not do this to ${group}/${name}: they need scheduler:GetSchedule, scheduler:UpdateSchedule, scheduler:CreateSchedule and iam:PassRole`,
  ConflictException: ({ group, name }) =>
    `${group}/${name} is being changed by somebody else: look with status, and try again`,
  ...each(["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"], () => {
    return "AWS does not accept these credentials: they have expired or belong to nobody; sign in again";
  }),
  ...each(["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "ETIMEDOUT", "TimeoutError"], () => {
    return "EventBridge Scheduler cannot be reached: check the network and AWS_REGION";
  }),
};

/** The fault as a Problem with advice; what no person can mend stays as it was thrown. */
export function explained(thrown: unknown, place: Place): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const code = "code" in thrown ? String(thrown.code) : "";
  // The SDK wraps some errors of the network, and the code is then left in the message alone.
  const codeInMessage = /\bE[A-Z]{4,}\b/.exec(thrown.message)?.[0] ?? "";
  const keys = [thrown.name, code, thrown.message, codeInMessage];
  const advice = keys.map((key) => ADVICE[key]).find((found) => found !== undefined);
  return advice === undefined ? thrown : new Problem(advice(place), { cause: thrown });
}

function each<Value>(names: readonly string[], value: Value): Record<string, Value> {
  return Object.fromEntries(names.map((name) => [name, value]));
}
