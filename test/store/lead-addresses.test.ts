import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { addressToSend, normaliseEmail, normalisePhone } from "../../lib/domain/address.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addLead, addSequence, addWorkspace } from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();

const normalisedBySql = async (name: "normalise_email" | "normalise_phone", texts: readonly string[]) => {
  const { rows } = await sql.query<{ normalised: string | null }>(
    `select ${name}(text) as normalised from unnest($1::text[]) with ordinality as given (text, place) order by place`,
    [texts],
  );
  return rows.map(({ normalised }) => normalised);
};

const EVERY_CHARACTER = Array.from({ length: 0xff_ff }, (_, index) => String.fromCharCode(index + 1)).filter(
  (character) => character.isWellFormed(),
);
const pieces = fc.constantFrom(
  ..."aZ9@<>,;:.\"'+() \t\n\u200b\u00ad\u00a0\ufeffÜß",
  "mailto:",
  "Bob <",
  "ada@example.com",
  "00",
);
const untidy = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(""));

long.it("the database normalises addresses and numbers as the code does", async () => {
  const texts = [
    ...EVERY_CHARACTER.map((character) => `${character}x${character}@example.com${character}`),
    ...fc.sample(untidy, { numRuns: 5_000, seed: 7 }),
  ];
  expect(await normalisedBySql("normalise_email", texts)).toEqual(texts.map(normaliseEmail));
  expect(await normalisedBySql("normalise_phone", texts)).toEqual(texts.map(normalisePhone));
});

it("a recipient is compared by the exact address that is sent to", async () => {
  const stored = fc.sample(untidy, { numRuns: 20_000, seed: 11 }).concat(" Bob <Bob@x.example> ");
  const sent = stored.filter((text) => addressToSend(text) !== undefined);
  expect(sent.length).toBeGreaterThan(10);
  expect(await normalisedBySql("normalise_email", sent)).toEqual(
    sent.map((text) => addressToSend(text)?.toLowerCase()),
  );
});

it("the normalised forms follow the address and the number after any write", async () => {
  const id = await addLead(sql, await addWorkspace(sql), { email: " Bob <Bob@x.example>", phone: "0049 30 1" });
  const stored = async () =>
    (await sql.query("select normalised_email, normalised_phone from lead where id = $1", [id])).rows[0];
  expect(await stored()).toEqual({ normalised_email: "bob@x.example", normalised_phone: "+49301" });
  await sql.query("update lead set normalised_email = 'other@x.example', phone = null where id = $1", [id]);
  expect(await stored()).toEqual({ normalised_email: "bob@x.example", normalised_phone: null });
  await sql.query("update lead set email = 'Eve@x.example' where id = $1", [id]);
  expect(await stored()).toEqual({ normalised_email: "eve@x.example", normalised_phone: null });
});

const runFacts = async (type: string, email: string, workspaceId: string) =>
  await tell(onPool(sql), type, { workspaceId, lead: { email } });

it.each([
  ["fred&sons@example.com", "fred&sons@example.com"],
  ["info@xn--80aaxitdbjk.xn--p1ai", "info@xn--80aaxitdbjk.xn--p1ai"],
  ["info@папироска.рф", "info@xn--80aaxitdbjk.xn--p1ai"],
  ["info@xn--80aaxitdbjk.xn--p1ai", "info@папироска.рф"],
  ["INFO@Bücher.example", "info@bücher.example"],
  [" spaced@example.com\n", "spaced@example.com"],
  ["spaced@example.com", " spaced@example.com "],
  ["spa\u200bced@example.com", "Spaced@example.com\ufeff"],
  ["plain@example.com", "Bob <Plain@example.com>"],
  ['"vip@gmail.example x"@internal.example', '"vip@gmail.example x"@internal.example'],
  ["dots..two@example.com.", "Dots..two@example.com"],
])("an opt-out of %j reaches every lead that is stored as %j, and no other", async (named, stored) => {
  const workspaceId = await addWorkspace(sql);
  for (const email of [stored, stored, "other@example.com", null]) await addLead(sql, workspaceId, { email });
  expect(await runFacts("lead.opted_out", named, workspaceId)).toMatchObject({ outcome: "applied" });
  const { rows } = await sql.query(
    "select email, opted_out_at is not null as out from lead where workspace_id = $1 order by out desc, email",
    [workspaceId],
  );
  expect(rows).toEqual([
    { email: stored, out: true },
    { email: stored, out: true },
    { email: "other@example.com", out: false },
    { email: null, out: false },
  ]);
});

it("an enrolment repairs an address, and rejects a field that is not exactly one address", async () => {
  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId);
  const emails = [
    "Bob <bob@example.com>",
    " info@bücher.example",
    "one@example.com, two@example.com",
    "c@example.com\r\nBcc: d@example.com",
  ];
  const outcome = await tell(onPool(sql), "lead.enrolled", {
    workspaceId,
    eventId: randomUUID(),
    occurredAt: hoursAgo(1),
    sequence: { id },
    leads: emails.map((email) => ({ email })),
  });
  expect(outcome).toMatchObject({
    verdicts: [
      "enrolled",
      "enrolled",
      "invalid: email: must be exactly one e-mail address",
      "invalid: email: must not contain control characters",
    ],
  });
  const { rows } = await sql.query("select email from lead where workspace_id = $1 order by email", [workspaceId]);
  expect(rows.map(({ email }) => email)).toEqual(["bob@example.com", "info@xn--bcher-kva.example"]);
});
