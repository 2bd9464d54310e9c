import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RemovalPolicy } from "aws-cdk-lib";
import { CfnRegistry, CfnSchema } from "aws-cdk-lib/aws-eventschemas";
import { Construct } from "constructs";
import { PROJECT } from "./bundle.ts";

/** The registry from which the Lambda console reads shareable test events. */
const REGISTRY = "lambda-testevent-schemas";

interface TestEventsProps {
  readonly functionName: string;
  /** Folder of the event files, relative to the project. */
  readonly folder: string;
  /** There is one registry per account and region. The console also creates it, when a user first saves an event. */
  readonly createRegistry: boolean;
}

/** Offers the files of a folder as shareable test events of the function. */
export class TestEvents extends Construct {
  constructor(scope: Construct, id: string, { functionName, folder, createRegistry }: TestEventsProps) {
    super(scope, id);
    const schema = new CfnSchema(this, "Schema", {
      registryName: REGISTRY,
      schemaName: `_${functionName}-schema`,
      type: "OpenApi3",
      description: `Backstop: test events, from the folder ${folder}`,
      content: JSON.stringify(documentOf(readEvents(join(PROJECT, folder)))),
    });
    if (!createRegistry) return;
    const registry = new CfnRegistry(this, "Registry", { registryName: REGISTRY });
    // The registry also holds events of other functions.
    registry.applyRemovalPolicy(RemovalPolicy.RETAIN);
    schema.addResourceDependency(registry);
  }
}

function readEvents(folder: string): Readonly<Record<string, unknown>> {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort();
  return Object.fromEntries(
    files.map((file) => [file.replace(/\.json$/, ""), JSON.parse(readFileSync(join(folder, file), "utf8")) as unknown]),
  );
}

/** The console's format: an OpenAPI document with one example per event. */
function documentOf(events: Readonly<Record<string, unknown>>) {
  return {
    openapi: "3.0.0",
    info: { version: "1.0.0", title: "Event" },
    paths: {},
    components: {
      schemas: { Event: { type: "object" } },
      examples: Object.fromEntries(Object.entries(events).map(([name, value]) => [name, { value }])),
    },
  };
}
