import { readFileSync } from "node:fs";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { type Configuration, readConfiguration } from "../../infra/configuration.ts";
import { BackstopStack } from "../../infra/stack.ts";

/** cdk.json as it is committed: the feature flags and the example stage. */
export const cdkJson = JSON.parse(readFileSync(join(import.meta.dirname, "../../cdk.json"), "utf8")) as {
  readonly context: Readonly<Record<string, unknown>> & {
    readonly backstop: { readonly dev: Record<string, unknown> };
  };
};

/** The example stage of cdk.json with some of its values replaced. */
export function anExample(changes: Readonly<Record<string, unknown>> = {}): Configuration {
  const stages = { dev: { ...cdkJson.context.backstop.dev, ...changes } };
  return readConfiguration({ stages, stage: "dev", paused: undefined });
}

/** The stack of one configuration under the flags of cdk.json, without bundling. */
export function aStack(configuration: Configuration = anExample()): BackstopStack {
  const app = new App({ context: { ...cdkJson.context, "aws:cdk:bundling-stacks": [] } });
  return new BackstopStack(app, configuration);
}

export function aTemplate(configuration: Configuration = anExample()): Template {
  return Template.fromStack(aStack(configuration));
}
