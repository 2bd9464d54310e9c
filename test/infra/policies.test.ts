import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import * as z from "zod";
import { PROJECT } from "../../infra/bundle.ts";
import { connectionSecretName, TOOLS } from "../../lib/platform/connection-secrets.ts";
import { namesOf } from "../../lib/platform/names.ts";
import { long } from "../support/long.ts";
import { anExample, aTemplate, inbound, regulated } from "./example.ts";

const texts = z.union([z.string(), z.array(z.string())]).transform((one) => [one].flat());
const policy = z.strictObject({
  Version: z.literal("2012-10-17"),
  Statement: z.array(
    z.strictObject({
      Sid: z.string(),
      Effect: z.literal("Allow"),
      Action: texts,
      Resource: texts,
      Condition: z.unknown().optional(),
    }),
  ),
});

const policyOf = async (name: string) =>
  policy.parse(JSON.parse(await readFile(join(PROJECT, `infra/policies/${name}.json`), "utf8")));

/** IAM's name of a service where it differs from CloudFormation's. */
const IAM_NAMES: Readonly<Record<string, string>> = { eventschemas: "schemas", apigatewayv2: "apigateway" };

/** The services of all resources of a template, by their names in IAM. */
function servicesOf(template: ReturnType<typeof aTemplate>): readonly string[] {
  const types = Object.values(template.toJSON()["Resources"] as Record<string, { Type: string }>).map(
    ({ Type }) => Type,
  );
  const services = types
    .filter((type) => type.startsWith("AWS::"))
    .map((type) => type.split("::")[1]?.toLowerCase() ?? "");
  return [...new Set(services)].map((service) => IAM_NAMES[service] ?? service).sort();
}

describe("the policy for a deploy", () => {
  long.it.each([
    [
      "beside an existing network and database",
      anExample({ ...inbound, testEvents: "createRegistry" }),
      ["deploy", "deploy-inbound"],
    ],
    [
      "that creates everything",
      anExample({ ...regulated, testEvents: "createRegistry" }),
      ["deploy", "deploy-created", "deploy-inbound"],
    ],
  ])("covers each service of a stage %s", async (_, configuration, names) => {
    const Statement = (await Promise.all(names.map(policyOf))).flatMap((one) => one.Statement);
    const allowed = new Set(Statement.flatMap(({ Action }) => Action).map((action) => action.split(":")[0]));
    expect(servicesOf(aTemplate(configuration)).filter((service) => !allowed.has(service))).toEqual([]);
  });

  it("passes and changes only roles whose names start like those of the stack", async () => {
    const Statement = (await Promise.all(["deploy", "deploy-inbound"].map(policyOf))).flatMap((one) => one.Statement);
    const onRoles = Statement.filter(({ Action }) => Action.some((action) => action.startsWith("iam:")));
    const resources = onRoles.flatMap(({ Resource }) => Resource);
    expect(
      resources.filter((resource) => !/role\/(backstop-\*|aws-service-role\/(?:rds|ops\.apigateway)\.)/.test(resource)),
    ).toEqual([]);
  });
});

it.each(["connect", "deploy", "deploy-created", "deploy-inbound", "on-call", "operator", "rotate-unsubscribe-key"])(
  "the policy %s fits IAM: no wildcard action, at most 6,144 characters",
  async (name) => {
    const { Statement } = await policyOf(name);
    for (const action of Statement.flatMap(({ Action }) => Action)) expect(action).toMatch(/^[a-z0-9-]+:[A-Za-z]+$/);
    const text = await readFile(join(PROJECT, `infra/policies/${name}.json`), "utf8");
    expect(text.replaceAll(/\s/g, "").length).toBeLessThanOrEqual(6_144);
  },
);

it("the policy for operators allows only to invoke the functions look and operate, of every stage", async () => {
  const { Statement } = await policyOf("operator");
  const { lookFunction, operateFunction } = namesOf("*");
  expect(Statement.map(({ Action, Resource }) => [...Action, ...Resource])).toEqual(
    [lookFunction, operateFunction].map((name) => ["lambda:InvokeFunction", `arn:*:lambda:*:*:function:${name}`]),
  );
});

it("people who connect tools read the secrets of connections, and those who rotate the key of links read that only", async () => {
  const { secretsPrefix, unsubscribeSecret } = namesOf("dev");
  const connections = TOOLS.map((tool) =>
    connectionSecretName(secretsPrefix, "0190f0f0-0000-7000-8000-00000000000a", tool),
  );
  const read = async (name: string) => {
    const { Statement } = await policyOf(name);
    const reading = Statement.filter(({ Action }) => Action.includes("secretsmanager:GetSecretValue"));
    const patterns = reading.flatMap(({ Resource }) =>
      Resource.map((one) => new RegExp(`^${one.replaceAll("*", ".*")}$`)),
    );
    return [...connections, unsubscribeSecret].filter((secret) =>
      patterns.some((pattern) => pattern.test(arnOfSecret(secret))),
    );
  };
  expect(await read("connect")).toEqual(connections);
  expect(await read("rotate-unsubscribe-key")).toEqual([unsubscribeSecret]);
});

/** Secrets Manager adds six characters to a name. */
const arnOfSecret = (name: string) => `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}-AbCdEf`;

describe("the policy for people on call", () => {
  /** IAM's name of a service where it differs from that of the AWS CLI. */
  const services: Readonly<Record<string, string>> = { sesv2: "ses", "pinpoint-sms-voice-v2": "sms-voice" };
  /** Commands of the AWS CLI that are not named after their action. */
  const actions: Readonly<Record<string, string>> = {
    "lambda:invoke": "lambda:invokefunction",
    "logs:tail": "logs:filterlogevents",
  };

  it("allows every AWS command of the runbook", async () => {
    const { Statement } = await policyOf("on-call");
    const allowed = new Set(Statement.flatMap(({ Action }) => Action).map((action) => action.toLowerCase()));
    const runbook = await readFile(join(PROJECT, "docs/runbook.md"), "utf8");
    const commands = [...runbook.matchAll(/\baws ([a-z0-9-]+) ([a-z]+(?:-[a-z]+)*)/g)];
    const needed = commands
      // Signing in to a database is a permission of its user.
      .filter(([, , command]) => command !== "generate-db-auth-token")
      .map(([, service = "", command = ""]) => `${services[service] ?? service}:${command.replaceAll("-", "")}`);
    expect(needed.length).toBeGreaterThan(20);
    expect(needed.filter((action) => !allowed.has(actions[action] ?? action))).toEqual([]);
  });
});
