import { addressKeys, phoneKeys } from "../domain/address.ts";
import { type Sql, sql } from "./sql.ts";

/** Whether `lead` has one of these addresses, in any notation. Uses the index `lead_normalised_email`. */
export const hasEmail = (...addresses: readonly string[]): Sql =>
  sql`lead.normalised_email = any(${addresses.flatMap(addressKeys)}::text[])`;

/** Whether `lead` has this number. Uses the index `lead_normalised_phone`. */
export const hasPhone = (number = ""): Sql => sql`lead.normalised_phone = any(${[...phoneKeys(number)]}::text[])`;
