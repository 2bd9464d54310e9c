import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "@jest/globals";
import { anExample } from "../infra/example.ts";
import { type Artefacts, synthesise } from "../support/lambda/artefacts.ts";

const NAME = "backstop-dev-follow-ups";

let first: Artefacts;
let again: Artefacts;
let changed: Artefacts;

beforeAll(async () => {
  first = await synthesise(anExample());
  again = await synthesise(anExample());
  changed = await synthesise(anExample({ batchSize: 7 }));
});

it("the same sources produce the same template and bundles", async () => {
  const [one, other] = await Promise.all(
    [first, again].map(async ({ folder }) => ({
      names: (await readdir(folder)).sort(),
      template: await readFile(join(folder, "backstop-dev.template.json"), "utf8"),
    })),
  );
  expect(other).toEqual(one);
  expect(one?.names.some((name) => name.startsWith("asset."))).toBe(true);
});

it("another setting changes the template and not the bundle", () => {
  expect(changed.of(NAME).environment).not.toEqual(first.of(NAME).environment);
  expect(changed.of(NAME).bundle.replace(changed.folder, "")).toBe(first.of(NAME).bundle.replace(first.folder, ""));
});
