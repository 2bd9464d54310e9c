import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import type { Configuration } from "../../../infra/configuration.ts";
import { BackstopStack } from "../../../infra/stack.ts";
import { cdkJson, REVISION } from "../../infra/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** The bundle of one function, and its environment in the template. */
export interface Artefact {
  readonly bundle: string;
  readonly handler: string;
  /** Without values that only AWS can supply, such as a queue URL. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Artefacts {
  readonly folder: string;
  of(functionName: string): Artefact;
}

interface FunctionResource {
  readonly Metadata: { readonly "aws:asset:path": string };
  readonly Properties: {
    readonly Handler: string;
    readonly Environment?: { readonly Variables: Readonly<Record<string, unknown>> };
  };
}

/** Synthesises the stack of a configuration with its bundles, as `cdk synth` does. */
export async function synthesise(configuration: Configuration): Promise<Artefacts> {
  const folder = await temporaryFolder();
  const context = { ...cdkJson.context, "aws:cdk:enable-asset-metadata": true };
  const app = new App({ context, outdir: folder });
  const template = Template.fromStack(new BackstopStack(app, configuration, REVISION));
  app.synth();
  return {
    folder,
    of(functionName) {
      const found = template.findResources("AWS::Lambda::Function", { Properties: { FunctionName: functionName } });
      const [resource] = Object.values(found) as FunctionResource[];
      if (!resource) throw new Error(`the stack has no function ${functionName}`);
      const { Metadata, Properties } = resource;
      const variables = Object.entries(Properties.Environment?.Variables ?? {});
      const texts = variables.filter((entry): entry is [string, string] => typeof entry[1] === "string");
      const bundle = join(folder, Metadata["aws:asset:path"]);
      return { bundle, handler: Properties.Handler, environment: Object.fromEntries(texts) };
    },
  };
}
