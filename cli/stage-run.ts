import { namesOf, STAGE_PATTERN } from "../lib/platform/names.ts";
import type { Report } from "../lib/run/report.ts";
import { type ErrorAdvice, each, invokeFunction } from "./aws.ts";
import { Problem, UsageProblem } from "./problem.ts";
import { Spinner } from "./terminal.ts";

/** Invokes the follow-ups function of a stage with an event. See `invokeRun`. */
export function invokeRunOf(stage: string, event: unknown): Promise<Report> {
  if (!STAGE_PATTERN.test(stage)) throw new UsageProblem(`"${stage}" is not a valid stage name; a valid name is dev`);
  return invokeRun(namesOf(stage).followUpsFunction, event);
}

/** Invokes a follow-ups function by name or ARN, once, waits for the run and returns its report. Throws a Problem. */
export async function invokeRun(name: string, event: unknown): Promise<Report> {
  const spinner = new Spinner();
  const limits = { answerMs: ANSWER_MS, maxAttempts: 1, advice: INVOCATION_ADVICE };
  const answer = await spinner
    .during(`Invoking ${name}`, () => invokeFunction(name, event, limits))
    .finally(() => spinner.stop());
  if (isReport(answer)) return answer;
  throw new Problem(`the function returned no report, but ${JSON.stringify(answer)}`);
}

/** Twice the longest run, with time for a cold start. A second attempt would start a second run. */
const ANSWER_MS = 120_000;

/** A failed manual run returns its report; a failed scheduled run throws. */
const isReport = (answer: unknown): answer is Report =>
  typeof answer === "object" && answer !== null && "success" in answer && "statusCode" in answer;

/** Advice for the errors of an invocation that differ for a run. */
const INVOCATION_ADVICE: ErrorAdvice<string> = {
  TooManyRequestsException: () =>
    "Lambda started no run, because other invocations use all of its concurrency: try again in a minute",
  ...each(["AbortError", "TimeoutError", "ECONNRESET", "ETIMEDOUT", "EPIPE", "ServiceException"], () => {
    return "there was no answer from Lambda, but the run may have started: look for its report with runs list, or in the log";
  }),
};
