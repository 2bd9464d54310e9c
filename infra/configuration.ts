import * as z from "zod";
import { STAGE_PATTERN } from "../lib/platform/names.ts";
import { isObject, PROXY_ARN, stageSchema } from "./stage.ts";

/** The validated configuration of one stage. */
export type Configuration = Readonly<z.output<typeof stageSchema>> & { readonly stage: string };

/** CDK context: the `backstop` object of cdk.json, and the values given with `-c`. */
export interface Context {
  readonly stages: unknown;
  readonly stage: unknown;
  readonly paused: unknown;
}

/** Lists every error of a configuration in one message. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

/** The chosen stage's configuration; `-c paused=…` overrides cdk.json. Throws ConfigurationError with all errors. */
export function readConfiguration(context: Context): Configuration {
  const stages = isObject(context.stages) ? context.stages : {};
  const stage = chosenStage(context.stage, Object.keys(stages));
  const parsed = stageSchema.safeParse(withPaused(stages[stage], context.paused));
  if (parsed.success) return { ...parsed.data, stage };
  throw new ConfigurationError(`stage "${stage}" in cdk.json is not right:\n${z.prettifyError(parsed.error)}`);
}

/** Account and region of the stage, from `home` or else from the proxy's ARN. */
export function homeOf({ proxy, home }: Configuration): { readonly account: string; readonly region: string } {
  if (home) return home;
  const [, region = "", account = ""] = PROXY_ARN.exec(proxy?.arn ?? "") ?? [];
  return { account, region };
}

function chosenStage(stage: unknown, known: readonly string[]): string {
  const choice = `cdk.json knows ${known.length === 0 ? "no stage yet" : known.join(", ")}`;
  if (typeof stage !== "string") throw new ConfigurationError(`say which stage, with -c stage=<name>; ${choice}`);
  if (!known.includes(stage)) throw new ConfigurationError(`there is no stage "${stage}" under "backstop"; ${choice}`);
  if (STAGE_PATTERN.test(stage)) return stage;
  throw new ConfigurationError(
    `stage "${stage}" must be at most 20 of a-z, 0-9 and single hyphens, beginning with a letter`,
  );
}

/** `-c` gives strings. Values other than true and false are left for the schema to refuse. */
function withPaused(stage: unknown, paused: unknown): unknown {
  if (paused === undefined || !isObject(stage)) return stage;
  return { ...stage, paused: paused === "true" || (paused === "false" ? false : paused) };
}
