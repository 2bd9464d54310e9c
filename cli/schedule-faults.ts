import { Problem } from "./problem.ts";

/** Identifies a schedule. */
export interface Place {
  readonly stage: string;
  readonly name: string;
  readonly group: string;
}

export const ENOUGH_ATTEMPTS = 4;

/** Advice for each error, by the name or code that the SDK gives it. */
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

/** Translates an error into a Problem with advice. Returns an unknown error unchanged. */
export function explained(thrown: unknown, place: Place): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const code = "code" in thrown ? String(thrown.code) : "";
  // The SDK wraps some network errors so that only the message contains the code.
  const codeInMessage = /\bE[A-Z]{4,}\b/.exec(thrown.message)?.[0] ?? "";
  const keys = [thrown.name, code, thrown.message, codeInMessage];
  const advice = keys.map((key) => ADVICE[key]).find((found) => found !== undefined);
  return advice === undefined ? thrown : new Problem(advice(place), { cause: thrown });
}

function each<Value>(names: readonly string[], value: Value): Record<string, Value> {
  return Object.fromEntries(names.map((name) => [name, value]));
}
