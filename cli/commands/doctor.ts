import { Command } from "commander";
import { type CheckResult, inOrder } from "../../lib/operate/checks.ts";
import { DATABASE_CHECKS, doctor } from "../../lib/operate/doctor.ts";
import { DatabaseUnreachable, SchemaOutOfDate, UnsafeDatabaseSettings } from "../../lib/run/ports.ts";
import { withAdvice } from "../aws.ts";
import { checksText, requirePassed } from "../check-results.ts";
import { type AskOptions, type Place, withOperator, withPlace } from "../operator.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { stageChecks } from "../stage-checks.ts";

const HELP = `
Checks in the order of their dependencies. A check whose needs failed is skipped, and not passed. Exits with 1 if a check
failed. With --stage it also checks AWS: the schedule, the queues of failures, the account and the identities of SES. These
checks need more permissions than other commands: infra/policies/on-call.json.

Examples:
  $ npm run backstop -- doctor
  $ npm run backstop -- doctor --stage production`;

/** The command `doctor`. Throws a Problem if a check failed. */
export function doctorCommand(): Command {
  return withPlace(new Command("doctor"))
    .description(doctor.summary)
    .option("--json", "print the results as JSON")
    .addHelpText("after", HELP)
    .action(async ({ json, ...place }: AskOptions) => {
      const results = await diagnose(place);
      print(json ? `${JSON.stringify(results, null, 2)}\n` : checksText(results));
      if (!json && place.stage === undefined) print("AWS is not checked: add --stage <name>.\n");
      requirePassed(results);
    });
}

/** The results of all checks of a place. */
export async function diagnose(place: Place): Promise<readonly CheckResult[]> {
  const { checks, senders } = await ofDatabase(place);
  if (place.stage === undefined) return checks;
  const ofStage = checks.map((check) => withStage(check, place.stage));
  return await inOrder(stageChecks(place.stage, senders), ofStage, remedyFor);
}

/** The database does not know by which name a person reaches it. */
const withStage = (check: CheckResult, stage: string | undefined): CheckResult => ({
  ...check,
  remedy: check.remedy?.replace(/npm run backstop -- (?!migrate)[^;]*$/, `$& --stage ${stage}`) ?? null,
});

async function ofDatabase(place: Place): Promise<{ checks: readonly CheckResult[]; senders: readonly string[] }> {
  try {
    return await withOperator(place, (operator) => operator.ask(doctor, {}));
  } catch (thrown) {
    const failed = failedCheckOf(thrown);
    if (failed === undefined || !(thrown instanceof Error)) throw thrown;
    return { checks: checksUpTo(failed, thrown.message), senders: [] };
  }
}

/** The check that an error of the question fails. Checks the schema of a database before it asks questions. */
function failedCheckOf(thrown: unknown): (typeof DATABASE_CHECKS)[number] | undefined {
  if (thrown instanceof UnsafeDatabaseSettings) return "settings";
  if (thrown instanceof SchemaOutOfDate) return "migrations";
  return thrown instanceof Problem || thrown instanceof DatabaseUnreachable ? "database" : undefined;
}

function checksUpTo(failed: (typeof DATABASE_CHECKS)[number], remedy: string): readonly CheckResult[] {
  const at = DATABASE_CHECKS.indexOf(failed);
  return DATABASE_CHECKS.map((name, index) => {
    if (index < at) return { name, state: "passed", found: "ok", remedy: null };
    if (index === at) return { name, state: "failed", found: "not usable", remedy };
    return { name, state: "skipped", found: `needs ${failed}`, remedy: null };
  });
}

/** The remedy of an error of AWS, which names the missing permission in its message. */
export function remedyFor(thrown: unknown): string | undefined {
  const advised = withAdvice(thrown, {}, undefined);
  if (!(advised instanceof Error)) return undefined;
  if (advised instanceof Problem) return advised.message;
  if (!("$metadata" in advised)) return undefined;
  const permissions = /AccessDenied|NotAuthorized/.test(advised.name)
    ? ". infra/policies/on-call.json has all permissions"
    : "";
  return `AWS answered ${advised.name}: ${advised.message}${permissions}`;
}
