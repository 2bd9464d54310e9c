import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import * as z from "zod";
import { column, execute, exists, many, one, onPool } from "../../lib/store/sql.ts";
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

describe("the query functions", () => {
  const row = z.object({ n: z.int() });

  it("`many` parses each row", async () => {
    expect(await many(db, row)`select n from generate_series(1, ${2}::int) as n`).toEqual([{ n: 1 }, { n: 2 }]);
    await expect(many(db, row)`select 'x' as n`).rejects.toThrow(z.ZodError);
  });

  it("`one` rejects a query that returns no row or several", async () => {
    expect(await one(db, row)`select 7 as n`).toEqual({ n: 7 });
    await expect(one(db, row)`select 7 as n where false`).rejects.toThrow(z.ZodError);
    await expect(one(db, row)`select n from generate_series(1, 2) as n`).rejects.toThrow(z.ZodError);
  });

  it("`exists` and `execute` report rows without columns", async () => {
    expect(await exists(db)`select from generate_series(1, 2)`).toBe(true);
    expect(await exists(db)`select where false`).toBe(false);
    expect(await execute(db)`select from generate_series(1, 2)`).toBe(2);
  });

  it("translate a database error in a statement and in a transaction, without the value", async () => {
    const expected = { message: "invalid input syntax for type integer (SQLSTATE 22P02)", code: "22P02" };
    await expect(execute(db)`select ${"secret"}::text::int`).rejects.toMatchObject(expected);
    await expect(db.transaction((part) => execute(part)`select ${"secret"}::text::int`)).rejects.toMatchObject(
      expected,
    );
  });
});
