import { readFile } from "node:fs/promises";
import { expect, it } from "@jest/globals";
import * as labels from "../../lib/domain/labels.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { EXPECTED_SCHEMA } from "../../lib/store/expected-schema.ts";
import { Prisma } from "../../lib/store/generated/client.ts";
import { readSchema } from "../../lib/store/schema-gate.ts";
import { atEnd } from "../support/at-end.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: clone } = await useDatabase();
const database = openDatabase({ connectionString: clone.url });
atEnd(() => database.close());

it("the schema that the code expects is the one that the migrations make; else run npm run generate:schema", async () => {
  expect(await readSchema(database.prisma)).toEqual(EXPECTED_SCHEMA);
});

it("the labels of the domain are those of the database's enums, in their order", () => {
  expect({
    lead_status: labels.LEAD_STATUSES,
    enrichment_status: labels.ENRICHMENT_STATUSES,
    sequence_trigger: labels.SEQUENCE_TRIGGERS,
    channel: labels.CHANNELS,
    step_condition: labels.STEP_CONDITIONS,
    placeholder_kind: labels.PLACEHOLDER_KINDS,
    instance_status: labels.INSTANCE_STATUSES,
    paused_reason: labels.PAUSED_REASONS,
    touch_status: labels.TOUCH_STATUSES,
    notification_kind: labels.NOTIFICATION_KINDS,
    guardrail_reason: labels.GUARDRAIL_REASONS,
    address_kind: labels.ADDRESS_KINDS,
    suppression_reason: labels.SUPPRESSION_REASONS,
    digest_channel: labels.DIGEST_CHANNELS,
    digest_delivery_status: labels.DIGEST_DELIVERY_STATUSES,
  }).toEqual(
    Object.fromEntries(Object.entries(EXPECTED_SCHEMA.labels).filter(([name]) => name !== "appointment_status")),
  );
});

it("every table has a model with all its columns", async () => {
  const schema = await readFile(new URL("../../prisma/schema.prisma", import.meta.url), "utf8");
  const models = [...schema.matchAll(/^model (\w+) \{\n(.*?)^\}/gms)].map(([, name = "", body = ""]) => ({
    name,
    body,
  }));
  const isModel = new Set(models.map(({ name }) => name));
  const columnsOf = (body: string) =>
    [...body.matchAll(/^ {2}(\w+) +(\w+).*$/gm)]
      .filter(([, , type = ""]) => !isModel.has(type))
      .map(([line, field = ""]) => / @map\("(\w+)"\)/.exec(line)?.[1] ?? field);
  const tables = models.map(({ name, body }) => [/@@map\("(\w+)"\)/.exec(body)?.[1] ?? name, columnsOf(body)] as const);
  const sorted = (columns: Iterable<readonly [string, readonly string[]]>) =>
    Object.fromEntries([...columns].map(([table, names]) => [table, names.toSorted()]));
  expect(sorted(tables)).toEqual(sorted(Object.entries(EXPECTED_SCHEMA.columns)));
});

it("the client has a model of runs only, because every function's bundle and start pay for each model", async () => {
  expect(Object.values(Prisma.ModelName)).toEqual(["Run"]);
  expect(Object.keys(Prisma.RunScalarFieldEnum)).toHaveLength(EXPECTED_SCHEMA.columns["run"]?.length ?? 0);
  expect(await database.prisma.run.findFirst()).toBeNull();
});
