import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "@jest/globals";
import { webhookFiles } from "../../events/webhook-page.ts";
import { generatedFiles } from "../../events/write-page.ts";
import { FACT_SCHEMAS } from "../../lib/inbound/facts.ts";
import { parseMessage } from "../../lib/inbound/parse-message.ts";

const PROJECT = new URL("../../", import.meta.url);

it("docs/ match the schemas; otherwise run `npm run generate:events`", async () => {
  for (const [path, content] of Object.entries({ ...(await generatedFiles()), ...(await webhookFiles()) })) {
    expect([path, await readFile(new URL(path, PROJECT), "utf8")]).toEqual([path, content]);
  }
});

/** Messages of providers, by the name of the example. */
const MESSAGES: Readonly<Record<string, object>> = {
  "mail.received": { kind: "mail" },
  "ses.bounced": { kind: "touch_facts", facts: [{ type: "lead.bounced", kind: "permanent" }] },
  "ses.complained": { kind: "touch_facts", facts: [{ type: "lead.complained" }] },
  "ses.delivered": { kind: "touch_facts", facts: [{ type: "touch.delivered" }] },
  "sms.stop": { kind: "text", text: { meaning: "opted_out" } },
};

it("every fact and every message of a provider has a valid example", async () => {
  const names = (await readdir(new URL("events/intake", PROJECT))).map((file) => file.replace(".json", ""));
  expect(names.sort()).toEqual([...Object.keys(FACT_SCHEMAS), ...Object.keys(MESSAGES)].sort());
  for (const name of names) {
    const body = await readFile(new URL(`events/intake/${name}.json`, PROJECT), "utf8");
    const fact = { kind: "facts", facts: [{ type: name, warnings: [] }] };
    expect(parseMessage(body)).toMatchObject(MESSAGES[name] ?? fact);
  }
});
