import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { type Configuration, readConfiguration } from "../../infra/configuration.ts";
import { BackstopStack } from "../../infra/stack.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** The committed cdk.json: the feature flags and the example stage. */
export const cdkJson = JSON.parse(readFileSync(join(import.meta.dirname, "../../cdk.json"), "utf8")) as {
  readonly context: Readonly<Record<string, unknown>> & {
    readonly backstop: { readonly dev: Record<string, unknown> };
  };
};

const WITHOUT_FACTS = {
  intake: undefined,
  webhooks: undefined,
  mailEvents: undefined,
  replies: undefined,
  reconcile: undefined,
};

/** The example stage of cdk.json without what lets facts arrive, and with some of its values replaced. */
export function anExample(changes: Readonly<Record<string, unknown>> = {}): Configuration {
  const stages = { dev: { ...cdkJson.context.backstop.dev, ...WITHOUT_FACTS, ...changes } };
  return readConfiguration({ stages, stage: "dev", paused: undefined });
}

/** The commit of the examples. */
export const REVISION = "0123456789ab";

/** The output folder for the stacks of a suite. */
const outdir = await temporaryFolder();

/** The stack of a configuration with the flags of cdk.json, without bundling. */
export function aStack(configuration: Configuration = anExample()): BackstopStack {
  const context = { ...cdkJson.context, "aws:cdk:bundling-stacks": [] };
  return new BackstopStack(new App({ context, outdir: mkdtempSync(join(outdir, "stack-")) }), configuration, REVISION);
}

/** A new template of a configuration. */
export function aFreshTemplate(configuration: Configuration = anExample()): Template {
  return Template.fromStack(aStack(configuration));
}

const synthesised = new Map<string, Readonly<{ stack: BackstopStack; template: Template }>>();

/** The stack of a configuration and its template, cached for all tests of a suite. */
function aSynthesis(configuration: Configuration) {
  const key = JSON.stringify(configuration);
  const known = synthesised.get(key);
  if (known) return known;
  const stack = aStack(configuration);
  const made = { stack, template: Template.fromStack(stack) };
  synthesised.set(key, made);
  return made;
}

/** The template of a configuration, cached for all tests of a suite. Do not change it. */
export function aTemplate(configuration: Configuration = anExample()): Template {
  return aSynthesis(configuration).template;
}

/** The values that `cdk synth` would look up in the account. */
export function lookupsOf(configuration: Configuration): readonly unknown[] {
  const app = aSynthesis(configuration).stack.node.root as App;
  return app.synth().manifest.missing ?? [];
}

/** All channels and options, on a slower schedule. */
export const everything = {
  schedule: { expression: "rate(5 minutes)" },
  sms: {
    originationIdentityArn: "arn:aws:sms-voice:eu-central-1:111122223333:phone-number/phone-0123",
    messageType: "TRANSACTIONAL",
    configurationSet: "follow-ups",
  },
  webhook: {
    url: "https://hooks.example.com/backstop",
    secretArn: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/webhook-AbCdEf",
    secretKeyArn: "arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef",
  },
  emailConfigurationSet: "follow-ups",
  unsubscribe: { url: "https://example.com/unsubscribe/{touchId}", mailto: "stop@example.com" },
  delivery: { maximumConcurrency: 7 },
  intake: { maximumConcurrency: 3 },
};

/** Everything that lets facts arrive, beside every channel: mails link to the stage's own unsubscribe page. */
export const inbound = {
  ...everything,
  emailConfigurationSet: undefined,
  unsubscribe: { mailto: "stop@example.com" },
  webhooks: { domain: (cdkJson.context.backstop.dev["webhooks"] as { readonly domain: object }).domain },
  mailEvents: {},
  smsReplies: {},
  reconcile: {},
  replies: cdkJson.context.backstop.dev["replies"],
};

/** A stage for which the stack creates network, database and proxy. */
export const created = {
  proxy: undefined,
  home: { account: "111122223333", region: "eu-central-1" },
  vpc: { availabilityZones: ["eu-central-1a", "eu-central-1b"] },
  migrate: {},
};

/** A stage that creates its database, with every option for regulated accounts. */
export const regulated = {
  ...inbound,
  ...created,
  database: {
    name: "backstop",
    user: "backstop_run",
    capacity: { least: 2, most: 8 },
    standby: true,
    exportLog: true,
    performanceInsights: true,
    rotatePassword: true,
  },
  logRetentionDays: 400,
  customerKey: true,
  keepLogs: true,
  terminationProtection: true,
};
