import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { column, onPool } from "../../lib/store/sql.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql: pool } = await useDatabase();
const db = onPool(pool);

const orNull = <Value>(values: fc.Arbitrary<Value>) => fc.array(fc.option(values), { maxLength: 20 });
/** PostgreSQL stores neither NUL nor a lone surrogate. */
const text = fc.string({ unit: "binary" }).map((value) => value.replaceAll("\0", "").toWellFormed());
/** Includes years before 1 and after 9999, which PostgreSQL formats differently. */
const instant = fc.date({
  min: new Date(-70_000_000_000_000),
  max: new Date(260_000_000_000_000),
  noInvalidDate: true,
});

describe("an array reaches PostgreSQL unchanged", () => {
  it.each([
    ["any texts", orNull(fc.oneof(text, fc.constantFrom('"', "\\", "{}", ",", "NULL", "null", "", " a "))), "text[]"],
    ["whole numbers", orNull(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), "int[]"],
    ["truths", orNull(fc.boolean()), "boolean[]"],
    ["instants of all years", orNull(instant), "timestamptz[]"],
  ] as [string, fc.Arbitrary<unknown[]>, string][])("%s", async (_, arrays, type) => {
    await fc.assert(
      fc.asyncProperty(arrays, async (given) => {
        const { rows } = await pool.query(`select $1::${type} as driver`, [given]);
        const [ours] = (await db.$queryRaw(strings(`select `, `::${type} as value`), given)) as [{ value: unknown }];
        expect(ours.value).toEqual(rows[0].driver);
      }),
      { numRuns: 50 },
    );
  });
});

const strings = (...parts: string[]): TemplateStringsArray => Object.assign(parts, { raw: parts });

it("omits a column of nulls, which unnest fills up, and sends any other whole", async () => {
  const rows = await db.$queryRaw`
    select * from unnest(${["a", "b"]}::text[], ${column([null, null])}::int[], ${column([null, 7])}::int[])
                    as given (name, nothing, something)`;
  expect(column([null, null])).toEqual([]);
  expect(rows).toEqual([
    { name: "a", nothing: null, something: null },
    { name: "b", nothing: null, something: 7 },
  ]);
});
