import { expect, it } from "@jest/globals";
import { REPEATABLE_CHANNELS } from "../../lib/domain/labels.ts";

it("only a channel that acts once on the same touch may be sent it again", () => {
  expect(REPEATABLE_CHANNELS).toEqual(["webhook", "task"]);
});
