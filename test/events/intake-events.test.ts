import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "@jest/globals";
import { webhookFiles } from "../../events/webhook-page.ts";
import { generatedFiles } from "../../events/write-page.ts";
import { FACT_SCHEMAS } from "../../lib/inbound/facts.ts";
import { parseEvent } from "../../lib/inbound/parse-event.ts";

const PROJECT = new URL("../../", import.meta.url);

it("docs/ match the schemas; otherwise run `npm run generate:events`", async () => {
  for (const [path, content] of Object.entries({ ...(await generatedFiles()), ...(await webhookFiles()) })) {
    expect([path, await readFile(new URL(path, PROJECT), "utf8")]).toEqual([path, content]);
  }
});

it("every fact has a valid example", async () => {
  const files = await readdir(new URL("events/intake", PROJECT));
  expect(files.sort()).toEqual(
    Object.keys(FACT_SCHEMAS)
      .map((type) => `${type}.json`)
      .sort(),
  );
  for (const file of files) {
    const body = await readFile(new URL(`events/intake/${file}`, PROJECT), "utf8");
    expect(parseEvent(body)).toMatchObject({ ok: true, fact: { type: file.replace(".json", "") } });
  }
});
