import * as z from "zod";
import type { Queryable } from "./sql.ts";

/** The database clock, truncated to milliseconds. It also stamps bookings, so that the two are comparable. */
export async function databaseNow(db: Queryable): Promise<Date> {
  const rows = await db.$queryRaw`select date_trunc('milliseconds', clock_timestamp()) as now`;
  return z.tuple([z.object({ now: z.date() })]).parse(rows)[0].now;
}
