import { Prisma } from "../../lib/store/generated/client.ts";

/** What a row of the demo data is, as its id tells. */
const KINDS = {
  workspace: 1,
  sequence: 2,
  step: 3,
  lead: 4,
  instance: 5,
  touch: 6,
  appointment: 7,
  task: 8,
  notification: 9,
} as const;
export type Kind = keyof typeof KINDS;

const prefixOf = (kind: Kind): string => `01000000-000${KINDS[kind]}-7000-8000-`;

/** The id of the row of that kind and number. Valid as UUIDv7, of a time before there was any. */
export const demoId = (kind: Kind, number: number): string =>
  `${prefixOf(kind)}${number.toString(16).padStart(12, "0")}`;

/** The lowest and the highest id that a row of that kind can have. */
export const demoIdRange = (kind: Kind): readonly [string, string] => [
  `${prefixOf(kind)}${"0".repeat(12)}`,
  `${prefixOf(kind)}${"f".repeat(12)}`,
];

/** The same in SQL, for an expression of type bigint or int. */
export const sqlId = (kind: Kind, number: Prisma.Sql): Prisma.Sql =>
  Prisma.sql`(${prefixOf(kind)} || lpad(to_hex(${number}), 12, '0'))::uuid`;

/** Chances that one seed decides, each by its own salt: the same for a lead whatever else is loaded. */
export class Chances {
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** An integer from 0 up to, but not including, `count`; the same for a number and a salt always. */
  below(count: Prisma.Sql | number, salt: number): Prisma.Sql {
    const amount = typeof count === "number" ? Prisma.sql`${count}::int` : count;
    return Prisma.sql`abs(hashint8extended(number, ${this.#saltOf(salt)}::bigint) % ${amount})::int`;
  }

  /** One element of an array. */
  of(array: Prisma.Sql, salt: number): Prisma.Sql {
    return Prisma.sql`(${array})[1 + ${this.below(Prisma.sql`nullif(cardinality(${array}), 0)`, salt)}]`;
  }

  /** A moment between the two ends of a range of hours; null where there is no range. */
  moment(hours: Prisma.Sql, now: Date, salt: number): Prisma.Sql {
    const part = Prisma.sql`${this.below(1_000_000, salt)} / 1e6`;
    return Prisma.sql`(${now}::timestamptz
      + make_interval(secs => 3600 * ((${hours})[1] + ((${hours})[2] - (${hours})[1]) * ${part})))::timestamptz(3)`;
  }

  #saltOf(salt: number): bigint {
    return BigInt(this.#seed) * 1_000n + BigInt(salt);
  }
}

/** The leads whose rows one statement writes, and what it writes them from. */
export interface Part {
  /** The numbers of the first and the last lead. */
  readonly first: number;
  readonly last: number;
  /** The same as a condition on `demo_cast`. */
  readonly isMember: Prisma.Sql;
  readonly now: Date;
  readonly chances: Chances;
}
