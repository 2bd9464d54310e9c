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
  const models = Object.values(Prisma.ModelName);
  expect(models).toHaveLength(Object.keys(EXPECTED_SCHEMA.columns).length);
  const fields = models.map((model) => Object.keys(Reflect.get(Prisma, `${model}ScalarFieldEnum`)).length);
  const columns = Object.values(EXPECTED_SCHEMA.columns).map((names) => names.length);
  expect(fields.toSorted()).toEqual(columns.toSorted());
  for (const model of models) {
    const delegate = Reflect.get(database.prisma, model.charAt(0).toLowerCase() + model.slice(1));
    expect(await delegate.findFirst()).toBeNull();
  }
});
