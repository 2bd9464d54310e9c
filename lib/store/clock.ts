import * as z from "zod";
import { one, type Queryable } from "./sql.ts";

/** The database clock, truncated to milliseconds. It also stamps bookings, so that the two are comparable. */
export async function databaseNow(db: Queryable): Promise<Date> {
  const { now } = await one(
    db,
    z.object({ now: z.date() }),
  )`select date_trunc('milliseconds', clock_timestamp()) as now`;
  return now;
}
