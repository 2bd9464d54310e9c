import { expect, it } from "@jest/globals";
import * as labels from "../../lib/domain/labels.ts";
import { EXPECTED_SCHEMA } from "../../lib/store/expected-schema.ts";

it("the labels of the domain are those of the schema that the database is held against, in their order", () => {
  expect({
    lead_status: labels.LEAD_STATUSES,
    enrichment_status: labels.ENRICHMENT_STATUSES,
    sequence_trigger: labels.SEQUENCE_TRIGGERS,
    channel: labels.CHANNELS,
    step_condition: labels.STEP_CONDITIONS,
    instance_status: labels.INSTANCE_STATUSES,
    paused_reason: labels.PAUSED_REASONS,
    touch_status: labels.TOUCH_STATUSES,
  }).toEqual(
    Object.fromEntries(Object.entries(EXPECTED_SCHEMA.labels).filter(([name]) => !/^(appointment|digest)_/.test(name))),
  );
});

it("only a channel that acts once on the same touch is sent it again", () => {
  expect(labels.REPEATABLE_CHANNELS).toEqual(["webhook", "task"]);
});
