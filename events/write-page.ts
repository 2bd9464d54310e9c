import { readFile, writeFile } from "node:fs/promises";
import * as z from "zod";
import { FACT_SCHEMAS, type FactType, leadToEnrol } from "../lib/run/intake/facts.ts";

/** The output of `npm run generate:events`, by path relative to the project. A test fails if a file is outdated. */
export async function generatedFiles(): Promise<Readonly<Record<string, string>>> {
  const sections = await Promise.all(FACTS.map(sectionOf));
  return {
    "docs/events.md": [INTRODUCTION, ...sections, table("A lead to enrol", schemaOf(leadToEnrol))]
      .join("\n\n")
      .concat("\n"),
    "docs/events.schema.json": `${JSON.stringify(document(), null, 2)}\n`,
  };
}

const FACTS = Object.keys(FACT_SCHEMAS) as readonly FactType[];

interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
}

/** The schema of the input, as a sender writes it: instants are text. */
const schemaOf = (schema: z.ZodType): Schema => z.toJSONSchema(schema, { io: "input" }) as Schema;

/** The schema of one type's detail. Adds the schema of a lead, which an enrolment parses separately. */
function detailOf(type: FactType): Schema {
  const schema = schemaOf(FACT_SCHEMAS[type]);
  const { leads, ...others } = schema.properties ?? {};
  if (!leads) return schema;
  return { ...schema, properties: { ...others, leads: { ...leads, items: schemaOf(leadToEnrol) } } };
}

const document = () => ({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "The detail of each event that Backstop takes in, by its detail-type",
  $defs: Object.fromEntries(FACTS.map((type) => [type, detailOf(type)])),
});

const INTRODUCTION = `# Events

Written by \`npm run generate:events\` from the schemas in \`lib/run/intake/facts.ts\`; not for editing. The same as JSON Schema:
[events.schema.json](events.schema.json).

Facts about leads come as events of the bus \`backstop-<stage>\`: \`detail-type\` names the fact, \`detail\` holds what the tables
below say, \`source\` is up to the sender. An event may be at most 256 KB.

- **Once.** An \`eventId\` is applied once in a workspace, however often it arrives.
- **In any order.** \`occurredAt\` decides what is later, never the order of arrival. It may not lie in the future.
- **With an outcome**, in \`intake_event.outcome\`: \`applied\`, or \`stale\` if something later was known already. \`created\` counts the
  leads that were added because the fact named nobody who was known.
- **Strict to start.** A fact that is not completely valid is rejected whole: it goes to \`backstop-<stage>-refused-events\` with the
  reason, and delays no other event. See [runbook](runbook.md#refused-events).
- **Lenient to stop.** A booking, another fact about a meeting, a reply or an opt-out needs only the workspace and the person.
  Unknown keys are ignored; a time in another form is read (local, whole day, Unix time, \`{ dateTime, timeZone }\`, \`{ date }\`, a
  start with \`durationMinutes\`); what cannot be read is left out. A booking without readable times sets the status and stores no
  meeting. Such a fact stops what it can and starts nothing. The outcome names each repair in \`warnings\`, and the digest shows
  them.
- A fact is about every lead that it names: all leads of an address or number. A meeting that several leads have starts sequences
  for one of them, the most recently contacted.`;

async function sectionOf(type: FactType): Promise<string> {
  const schema = detailOf(type);
  const example = await readFile(new URL(`intake/${type}.json`, import.meta.url), "utf8");
  const { detail } = JSON.parse(example) as { readonly detail: unknown };
  return [table(type, schema), "```json", JSON.stringify(detail, null, 2), "```"].join("\n");
}

function table(title: string, schema: Schema): string {
  const rows = rowsOf(schema).map((cells) => `| ${cells.join(" | ")} |`);
  const head = ["| key | type | needed | meaning |", "|---|---|---|---|"];
  return [`## ${title}`, ...(schema.description ? ["", schema.description] : []), "", ...head, ...rows, ""].join("\n");
}

/** Nested keys are rows of the same table, such as `lead.email`. The items of a list have their own table. */
function rowsOf({ properties = {}, required = [] }: Schema, prefix = ""): string[][] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const needed = required.includes(key) ? "yes" : "";
    const row = [`\`${prefix}${key}\``, typeOf(schema), needed, meaningOf(schema)];
    return [row, ...rowsOf(schema, `${prefix}${key}.`)];
  });
}

function typeOf({ type, format, maxLength, maxItems, anyOf, items, properties }: Schema): string {
  if (anyOf) return anyOf.map(typeOf).join(" or ");
  if (items) return `list of at most ${maxItems}`;
  if (properties) return "object";
  if (format === "date-time") return "instant";
  const most = maxLength === undefined ? "" : `, at most ${maxLength}`;
  return `${format === "uri" ? "URL" : (format ?? (type === "string" ? "text" : type))}${most}`;
}

const meaningOf = ({ description = "", default: given }: Schema): string =>
  [description, ...(given === undefined ? [] : [`Default \`${JSON.stringify(given)}\`.`])].filter(Boolean).join(" ");

if (import.meta.main) {
  for (const [path, content] of Object.entries(await generatedFiles())) {
    await writeFile(new URL(`../${path}`, import.meta.url), content);
  }
}
