import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { anExample } from "../infra/example.ts";
import { synthesise } from "../support/lambda/artefacts.ts";

const NAME = "backstop-dev-follow-ups";

it("twice the same sources make the same template, with the same bundles by their hashes", async () => {
  const [first, second] = [await synthesise(anExample()), await synthesise(anExample())];
  const [one, other] = await Promise.all(
    [first, second].map(async ({ folder }) => ({
      names: (await readdir(folder)).sort(),
      template: await readFile(join(folder, "backstop-dev.template.json"), "utf8"),
    })),
  );
  expect(other).toEqual(one);
  expect(one?.names.some((name) => name.startsWith("asset."))).toBe(true);
  await Promise.all([first.remove(), second.remove()]);
});

it("another setting makes another template, and leaves the bundle as it is", async () => {
  const [first, second] = [await synthesise(anExample()), await synthesise(anExample({ batchSize: 7 }))];
  expect(second.of(NAME).environment).not.toEqual(first.of(NAME).environment);
  expect(second.of(NAME).bundle.replace(second.folder, "")).toBe(first.of(NAME).bundle.replace(first.folder, ""));
  await Promise.all([first.remove(), second.remove()]);
});
