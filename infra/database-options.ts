import * as z from "zod";

export const role = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, "must be one PostgreSQL role in lower case, without a wildcard");

/** The options for a database that the stack creates. */
const ofCreated = z.strictObject({
  /** In Aurora capacity units. */
  capacity: z.strictObject({ least: z.number().min(0.5).max(256), most: z.number().min(1).max(256) }).optional(),
  /** A second instance in another zone, to which Aurora fails over. */
  standby: z.boolean().optional(),
  /** PostgreSQL's log in CloudWatch Logs, without values of rows. */
  exportLog: z.boolean().optional(),
  performanceInsights: z.boolean().optional(),
  /** RDS creates the administrator's password and changes it every seven days. */
  rotatePassword: z.boolean().optional(),
});

/** The options of a stage for its database. */
export const databaseOptions = ofCreated.extend({
  name: z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, "must be the name of a database in lower case"),
  user: role,
  /** The user of the function `look`, which may only read. */
  lookUser: role.default("backstop_look"),
  /** How many connections an existing database, or its proxy, gives to Backstop. */
  connections: z.int().min(1).optional(),
});

/** The keys of `database` that must not be set for an existing database. */
export const ONLY_IF_CREATED = ofCreated.keyof().options;
