import { BARRING_STATUSES } from "../domain/rules.ts";
import { raw, sql } from "./sql.ts";

const WHEN_SUPPRESSED = sql`
       when lead.suppressed_reason is not null then lead.suppressed_reason::text
       when lead.opted_out_at is not null then 'opted_out'`;
/** Literals, so that the planner sees constants. */
const STATUSES = raw(BARRING_STATUSES.map((status) => `'${status}'`).join(", "));
const WHEN_BARRED = sql`${WHEN_SUPPRESSED}
       when lead.status in (${STATUSES}) then replace(lead.status::text, '-', '_')`;

/** Why the address or number of `lead` must not be contacted; null if it may. */
export const SUPPRESSION = sql`
  case ${WHEN_SUPPRESSED} end`;

/** Why `lead` may not be contacted, as `contactBar` returns it; null if it may. A test compares them. */
export const CONTACT_BAR = sql`
  case ${WHEN_BARRED} end`;

/** Why `instance` may not contact `lead`; null if it may. */
export const CONTACT_BLOCK = sql`
  case when lead.is_booked and not instance.post_booking then 'meeting_booked'${WHEN_BARRED}
  end`;
