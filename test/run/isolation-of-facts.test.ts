import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as z from "zod";
import { FACT_SCHEMAS, type FactType } from "../../lib/inbound/facts.ts";
import { leadToEnrol } from "../../lib/inbound/lead-to-enrol.ts";
import { applyMessages } from "../../lib/run/apply-messages.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import { atEnd } from "../support/at-end.ts";
import { addLead, addSequence, addWorkspace } from "../support/factories.ts";
import { bodyOf, hoursAgo } from "../support/facts.ts";
import { INSTANTS, MARK, TEXTS } from "../support/odd-values.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: testDatabase, sql } = await useDatabase();
const database = openDatabase({ connectionString: testDatabase.url });
atEnd(() => database.close());
let odd: { readonly workspaceId: string; readonly leadId: string };
let healthy: { readonly workspaceId: string; readonly leadId: string };

beforeAll(async () => {
  const addTenant = async () => {
    const workspaceId = await addWorkspace(sql);
    await addSequence(sql, workspaceId, { name: "No answer yet" });
    return { workspaceId, leadId: await addLead(sql, workspaceId) };
  };
  odd = await addTenant();
  healthy = await addTenant();
});

type Path = readonly (string | number)[];
type Json = Readonly<Record<string, unknown>>;

/** Paths of all fields of a schema, including nested ones. */
function pathsOf(schema: Json, at: Path = []): readonly Path[] {
  const inside = Object.entries((schema["properties"] ?? {}) as Readonly<Record<string, Json>>);
  const paths = inside.flatMap(([name, field]) => [[...at, name], ...pathsOf(field, [...at, name])]);
  const choices = [schema["anyOf"], schema["oneOf"], schema["allOf"]].flatMap(
    (some) => (some ?? []) as readonly Json[],
  );
  paths.push(...choices.flatMap((choice) => pathsOf(choice, at)));
  const items = schema["items"];
  return items ? [...paths, [...at, 0], ...pathsOf(items as Json, [...at, 0])] : paths;
}

const fieldsOf = (type: FactType): readonly Path[] => {
  const paths = pathsOf(z.toJSONSchema(FACT_SCHEMAS[type], { io: "input", unrepresentable: "any" }) as Json);
  if (type !== "lead.enrolled") return paths;
  const ofLeads = pathsOf(z.toJSONSchema(leadToEnrol, { io: "input", unrepresentable: "any" }) as Json, ["leads", 0]);
  return [...paths, ...ofLeads];
};

const ODD: readonly unknown[] = [
  ...TEXTS,
  ...INSTANTS,
  "0000-01-01T00:00:00Z",
  "9999-12-31T23:59:60Z",
  "+275760-09-13T00:00:00.001Z",
  `a\u0000${MARK}`,
  `\ud800${MARK}`,
  null,
  true,
  0,
  -1,
  1e308,
  [],
  [null],
  {},
  { colour: MARK },
  { __proto__: null, toString: 1 },
  JSON.parse(`${"[".repeat(2_000)}${"]".repeat(2_000)}`),
];

/** The example event of that type, adapted to a tenant. */
async function exampleOf(type: FactType, { workspaceId, leadId }: typeof odd): Promise<Record<string, unknown>> {
  const text = await readFile(new URL(`../../events/intake/${type}.json`, import.meta.url), "utf8");
  const { detail } = JSON.parse(text) as { detail: Record<string, unknown> };
  return { ...detail, workspaceId, occurredAt: hoursAgo(1), ...("lead" in detail && { lead: { id: leadId } }) };
}

function withValue(detail: unknown, [name, ...rest]: Path, value: unknown): unknown {
  if (name === undefined) return value;
  const inside = (detail as Record<string | number, unknown> | undefined)?.[name];
  const changed = withValue(inside, rest, value);
  if (typeof name === "number") return Array.isArray(detail) ? detail.with(name, changed) : [changed];
  return { ...(detail as object), [name]: changed };
}

interface Message {
  readonly messageId: string;
  readonly body: string;
}

/** Outcome of each message of a batch, with the reason if it was refused. */
async function takeIn(messages: readonly Message[]) {
  const became = new Map<string, { readonly event: string; readonly reason: string }>();
  const tell = (event: string, { messageId, reason, fault }: Record<string, unknown>) =>
    void became.set(String(messageId), { event, reason: String(reason ?? fault ?? "") });
  const { failedMessageIds } = await applyMessages(messages, {
    ...intakeStore(database),
    deadLetters: { keep: () => Promise.resolve() },
    log: { info: tell, error: tell },
  });
  return { became, failedMessageIds };
}

const MESSAGES_IN_A_BATCH = 10;

describe("for any value in a fact of one tenant, the batch continues and another tenant's fact is applied", () => {
  it.each(
    (Object.keys(FACT_SCHEMAS) as FactType[]).map((type) => ({
      type,
      fields: fieldsOf(type)
        .map((path) => path.join("."))
        .join(", "),
    })),
  )(
    "$type: $fields",
    async ({ type }) => {
      const example = await exampleOf(type, odd);
      let number = 0;
      const all = fieldsOf(type).flatMap((path) =>
        ODD.map((value) => {
          const detail = withValue({ ...example, eventId: `${type} ${++number}` }, path, value) as Json;
          return { messageId: `${path.join(".")} ${number}`, body: bodyOf(type, detail) };
        }),
      );
      const messages = all.filter((_, index) => index % ONE_CASE_IN === 0);
      for (let from = 0; from < messages.length; from += MESSAGES_IN_A_BATCH - 1) {
        const reply = { workspaceId: healthy.workspaceId, lead: { id: healthy.leadId }, occurredAt: hoursAgo(1) };
        const body = bodyOf("lead.replied", { ...reply, eventId: `${type} beside ${from}` });
        const batch = messages.slice(from, from + MESSAGES_IN_A_BATCH - 1);
        const { became, failedMessageIds } = await takeIn([...batch, { messageId: "healthy", body }]);
        expect(failedMessageIds.map((id) => [id, became.get(id)?.reason])).toEqual([]);
        expect(became.get("healthy")?.event).toMatch(/^event\.(applied|stale)$/);
        for (const [id, { event, reason }] of became)
          if (event === "event.refused") expect([id, reason]).toEqual([id, namingFaultOf(id)]);
      }
    },
    300_000,
  );
});

/** Matches a line of moderate length that names the faulty field and never its value. */
const namingFaultOf = (id: string) => {
  const [field = ""] = id.split(/[. ]/u);
  return expect.stringMatching(
    new RegExp(`^(?!.*${MARK})(detail: .*${field}|larger than|[a-zA-Z.]+: ).{1,2000}$`, "u"),
  );
};
