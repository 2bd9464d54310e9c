import * as z from "zod";
import { POOL_SIZE } from "../lib/store/pool.ts";
import type { OptionFault } from "./placement.ts";

/** Capacity of a database that the stack creates, unless configured. In Aurora capacity units. */
export const CAPACITY = { least: 0.5, most: 4 };

/** Left for migrations, for people (one for each question or order under way), and for what RDS keeps for itself. */
const KEPT_FREE = 15;

const count = z.number().optional().catch(undefined);
const workers = z.object({ maximumConcurrency: z.number() }).optional().catch(undefined);

/**
 * The options that decide how many connections there are. An invalid key has an error of its own, and is read as
 * missing.
 */
const sizes = z.object({
  proxy: z.unknown().optional(),
  database: z
    .object({
      connections: count,
      capacity: z.object({ least: z.number(), most: z.number() }).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
  delivery: workers,
  intake: workers,
  reservedConcurrency: count,
});
type Sizes = z.output<typeof sizes>;

/** The error of a stage whose functions may need more connections than its database accepts. */
export function faultsOfConnections(stage: unknown): readonly OptionFault[] {
  const found = sizes.parse(stage);
  const { proxy, database } = found;
  if (!proxy) return faultsOfCreated(found, database?.capacity ?? CAPACITY);
  const limit = database?.connections;
  if (limit === undefined || fits(found, limit)) return [];
  return [{ path: ["database", "connections"], message: `${tooFew(found)}: lower maximumConcurrency` }];
}

function faultsOfCreated(found: Sizes, { least, most }: typeof CAPACITY): readonly OptionFault[] {
  if (found.database?.connections !== undefined) {
    const message = "must not be set without a proxy: the limit of a database that the stack creates is known";
    return [{ path: ["database", "connections"], message }];
  }
  const limit = limitOf({ least, most });
  if (fits(found, limit)) return [];
  const advice = "raise it, or lower maximumConcurrency";
  return [
    {
      path: ["database", "capacity", "most"],
      message: `at ${most} means ${limit} connections. ${tooFew(found)}: ${advice}`,
    },
  ];
}

/**
 * `max_connections` of Aurora Serverless: 211 for each capacity unit of the maximum, rounded down; at most 2,000 if the
 * minimum is half a unit, and 5,000 otherwise.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
 */
const limitOf = ({ least, most }: typeof CAPACITY): number =>
  Math.min(least <= 0.5 ? 2_000 : 5_000, Math.floor(211 * most) - 22);

const fits = (found: Sizes, limit: number): boolean => mostConnections(found) + KEPT_FREE <= limit;

const tooFew = (found: Sizes): string => `${connectionsText(found)}, and ${KEPT_FREE} are kept free`;

/** Invocations at once, by function. A tick ends before the next one; one run more may be started by hand. */
const invocationsOf = ({ delivery, intake, reservedConcurrency = 2 }: Sizes) => ({
  runs: reservedConcurrency,
  deliveries: delivery?.maximumConcurrency ?? 0,
  intakes: intake?.maximumConcurrency ?? 0,
});

const mostConnections = (found: Sizes): number =>
  POOL_SIZE * Object.values(invocationsOf(found)).reduce((total, some) => total + some, 0);

/** How many connections the functions of a stage need at most, and why. */
export function connectionsText(stage: unknown): string {
  const found = sizes.parse(stage);
  const named = Object.entries(invocationsOf(found)).filter(([, some]) => some > 0);
  const terms = named.map(([name, some]) => `${some} ${name}`).join(", ");
  return `${terms} at once, with ${POOL_SIZE} connections each, need ${mostConnections(found)}`;
}
