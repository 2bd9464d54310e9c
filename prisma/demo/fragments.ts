import { Prisma } from "../../lib/store/generated/client.ts";

/** The kind of a demo row, as encoded in its id. */
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

/** The id of the row of this kind and number. A valid UUIDv7 with a timestamp earlier than any real one. */
export const demoId = (kind: Kind, number: number): string =>
  `${prefixOf(kind)}${number.toString(16).padStart(12, "0")}`;

/** The lowest and the highest id of this kind. */
export const demoIdRange = (kind: Kind): readonly [string, string] => [
  `${prefixOf(kind)}${"0".repeat(12)}`,
  `${prefixOf(kind)}${"f".repeat(12)}`,
];

/** `demoId` in SQL, for an expression of type bigint or int. */
export const sqlId = (kind: Kind, number: Prisma.Sql): Prisma.Sql =>
  Prisma.sql`(${prefixOf(kind)} || lpad(to_hex(${number}), 12, '0'))::uuid`;

/** Pseudo-random choices from a seed and a salt per choice. A lead's values do not depend on the other leads. */
export class Chances {
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** An integer from 0 to `count - 1`; always the same for one number and salt. */
  below(count: Prisma.Sql | number, salt: number): Prisma.Sql {
    const amount = typeof count === "number" ? Prisma.sql`${count}::int` : count;
    return Prisma.sql`abs(hashint8extended(number, ${this.#saltOf(salt)}::bigint) % ${amount})::int`;
  }

  /** One element of an array. */
  of(array: Prisma.Sql, salt: number): Prisma.Sql {
    return Prisma.sql`(${array})[1 + ${this.below(Prisma.sql`nullif(cardinality(${array}), 0)`, salt)}]`;
  }

  /** An instant within a range of hours from `now`; null if the range is null. */
  moment(hours: Prisma.Sql, now: Date, salt: number): Prisma.Sql {
    const part = Prisma.sql`${this.below(1_000_000, salt)} / 1e6`;
    return Prisma.sql`(${now}::timestamptz
      + make_interval(secs => 3600 * ((${hours})[1] + ((${hours})[2] - (${hours})[1]) * ${part})))::timestamptz(3)`;
  }

  #saltOf(salt: number): bigint {
    return BigInt(this.#seed) * 1_000n + BigInt(salt);
  }
}

/** The leads whose rows one statement writes, and the inputs of that statement. */
export interface Part {
  /** The numbers of the first and the last lead. */
  readonly first: number;
  readonly last: number;
  /** The same range as a condition on `demo_cast`. */
  readonly isMember: Prisma.Sql;
  readonly now: Date;
  readonly chances: Chances;
}
