import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { ADDRESS_PATTERN, isSender, SENDER_PATTERN } from "../../lib/domain/address.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();

it.each([
  ["hello@northwind.example", true],
  ["Northwind <hello@northwind.example>", true],
  ["<hello@northwind.example>", true],
  ['"North, wind" <hello@northwind.example>', true],
  ['"North \\"wind\\"" <hello@northwind.example>', true],
  ["O'Brien & Söhne GmbH. <hello@müller.example>", true],
  ["", false],
  ["nobody", false],
  ["hello@northwind", false],
  ["a@x.example, b@x.example", false],
  ["a@x.example; b@x.example", false],
  ["Smith, Ann <a@x.example>", false],
  ["team: a@x.example", false],
  ["Ann <a@x.example> <b@x.example>", false],
  ["a@x.example\r\nBcc: b@x.example", false],
  ['"Ann\r\n" <a@x.example>', false],
  [" a@x.example", false],
])("the sender %j may send: %p", (text, may) => {
  expect(isSender(text)).toBe(may);
});

it.each([
  ["email_from_is_one_address", SENDER_PATTERN],
  ["sender_email_is_one_address", ADDRESS_PATTERN],
  ["reply_to_is_one_address", ADDRESS_PATTERN],
])("the CHECK %s and the code have the same pattern", async (name, pattern) => {
  const check = await sql.query<{ text: string }>(
    "select pg_get_constraintdef(oid) as text from pg_constraint where conname = $1",
    [name],
  );
  const [, inDatabase = ""] = /~ '(.*)'::text/s.exec(check.rows[0]?.text ?? "") ?? [];
  expect(inDatabase.replaceAll("''", "'").replaceAll("\\\\", "\\")).toBe(pattern.replaceAll("\\\\", "\\"));
});

it("the database and the code read the shape of a sender alike", async () => {
  const pattern = new RegExp(SENDER_PATTERN);
  const piece = fc.constantFrom(
    "a",
    "x",
    "@",
    ".",
    "<",
    ">",
    '"',
    ",",
    ";",
    ":",
    "\\",
    " ",
    "\n",
    "\x7f",
    "é",
    "[",
    "]",
    "(",
    ")",
  );
  const texts = fc.array(
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
    { minLength: 50, maxLength: 50 },
  );
  await fc.assert(
    fc.asyncProperty(texts, async (given) => {
      const { rows } = await sql.query<{ text: string; fits: boolean }>(
        "select text, text ~ $2 as fits from unnest($1::text[]) as text",
        [given, SENDER_PATTERN],
      );
      for (const { text, fits } of rows) expect({ text, fits }).toEqual({ text, fits: pattern.test(text) });
    }),
    { numRuns: 40 },
  );
});
