import { readFileSync } from "node:fs";
import { join } from "node:path";
import { App, type Stack } from "aws-cdk-lib";
import { NIST80053R5Checks, PCIDSS321Checks } from "cdk-nag";
import { PROJECT } from "./bundle.ts";
import { ConfigurationError, readConfiguration } from "./configuration.ts";
import { BackstopStack } from "./stack.ts";

interface Finding {
  /** Name of the rule, without that of the pack. */
  readonly rule: string;
  readonly packs: readonly string[];
  /** Paths of the resources in the stack. */
  readonly resources: readonly string[];
}

/**
 * The findings of the NIST 800-53 R5 and PCI DSS 3.2.1 packs of cdk-nag in a stack, by rule. docs/security.md explains
 * it.
 */
export function findingsOf(stack: Stack): readonly Finding[] {
  const found = new Map<string, { packs: Set<string>; resources: Set<string> }>();
  for (const pack of [new NIST80053R5Checks(stack), new PCIDSS321Checks(stack)]) {
    for (const { ruleName, violatingResources } of pack.validateScope(stack).violations) {
      const rule = ruleName.replace(`${pack.name}-`, "");
      const { packs, resources } = found.get(rule) ?? { packs: new Set(), resources: new Set() };
      found.set(rule, {
        packs: packs.add(pack.name),
        resources: new Set([...resources, ...violatingResources.flatMap(({ constructPath }) => constructPath ?? [])]),
      });
    }
  }
  return [...found]
    .map(([rule, { packs, resources }]) => ({ rule, packs: [...packs], resources: [...resources] }))
    .sort((one, other) => one.rule.localeCompare(other.rule));
}

function print(findings: readonly Finding[]): void {
  for (const { rule, packs, resources } of findings) {
    process.stdout.write(`${rule} (${packs.join(", ")})\n${resources.map((path) => `  ${path}\n`).join("")}`);
  }
}

if (import.meta.main) {
  try {
    const { context } = JSON.parse(readFileSync(join(PROJECT, "cdk.json"), "utf8"));
    const stage = process.argv[2];
    const configuration = readConfiguration({ stages: context.backstop, stage, paused: undefined });
    const app = new App({ context: { ...context, "aws:cdk:bundling-stacks": [] } });
    print(findingsOf(new BackstopStack(app, configuration, "unknown")));
  } catch (thrown) {
    if (!(thrown instanceof ConfigurationError)) throw thrown;
    process.stderr.write(`${thrown.message}\nusage: npm run findings -- <stage>\n`);
    process.exitCode = 1;
  }
}
