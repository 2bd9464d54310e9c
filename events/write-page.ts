import { readFile, writeFile } from "node:fs/promises";
import * as z from "zod";
import { FACT_SCHEMAS, type FactType, leadToEnrol } from "../lib/run/intake/facts.ts";

/** What `npm run generate:events` writes, by the path below the project. A test fails while a file is not current. */
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

/** As somebody who sends sees it: instants are text. */
const schemaOf = (schema: z.ZodType): Schema => z.toJSONSchema(schema, { io: "input" }) as Schema;

/** The detail of one type; a lead to enrol is told by its own schema, though each is parsed by itself. */
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

Facts about leads come as events of the bus \`backstop-<stage>\`: \`detail-type\` names the fact, \`detail\` holds what the tables below
say, \`source\` is whatever the sender likes. Unknown keys are refused. An event may be at most 256 KB.

- **Once.** An \`eventId\` is applied once in a workspace, however often it comes.
- **In any order.** \`occurredAt\` decides what is later, never the order of arrival. It may not lie in the future.
- **With an outcome**, in \`intake_event.outcome\`: \`applied\`, or \`stale\` where something later was known already.
- **Whole or not at all.** What is refused changes nothing, goes to \`backstop-<stage>-refused-events\` with the reason, and keeps no other event
  back. See [runbook](runbook.md#refused-events).
- A \`lead\` is named by one of \`id\` (ours), \`externalId\` (the sender's) or \`email\`. A fact is about all leads
  of the address that it names. A meeting that several leads have starts sequences for one of them: the most recently contacted.
  A lead that is not known is added; the outcome says \`created\`.`;

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

/** Parts of parts are told in place, as in `lead.email`; those of a list have a table of their own. */
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
