import { expect, it } from "@jest/globals";
import { REPEATABLE_CHANNELS } from "../../lib/domain/labels.ts";

it("only channels with idempotent delivery may send a touch again", () => {
  expect(REPEATABLE_CHANNELS).toEqual(["webhook", "task"]);
});
