import * as z from "zod";
import type { LeadFacts } from "../domain/due-item.ts";
import { ADDRESS_OF_CHANNEL, type AddressKind, CHANNELS, type Channel, perChannel } from "../domain/labels.ts";
import { join, raw, type Sql, sql } from "./sql.ts";

/** Labels as SQL literals, so that the planner sees constants. */
export const literal = (label: Channel | AddressKind): Sql => raw(`'${label}'`);

/** Excludes touches on channels that only newer code knows. */
export const CHANNEL_IS_KNOWN = sql`touch.channel::text = any(${[...CHANNELS]}::text[])`;

const columnOf = (channel: Channel): Sql => raw(`last_${channel}_at`);

/** The columns of `lead` for when each channel last reached it. */
export const LAST_TOUCHES = join(CHANNELS.map((channel) => sql`lead.${columnOf(channel)}`));

type LastTouchColumn = `last_${Channel}_at`;
const keyOf = perChannel((channel): LastTouchColumn => `last_${channel}_at`);
const stamp = z.date().nullable();
export const lastTouchColumns = Object.fromEntries(CHANNELS.map((channel) => [keyOf[channel], stamp])) as Record<
  LastTouchColumn,
  typeof stamp
>;

export function lastTouchOf(row: Readonly<Record<LastTouchColumn, Date | null>>): LeadFacts["lastTouchAt"] {
  const lastTouchAt: Record<Channel, Date | null> = { ...NEVER };
  for (const channel of CHANNELS) lastTouchAt[channel] = row[keyOf[channel]];
  return lastTouchAt;
}

const NEVER = perChannel((): Date | null => null);

/** Assignments to `lead` for a touch on that channel that starts now. */
export const lastTouchesBy = (channel: Sql, now: Date): Sql =>
  join(
    CHANNELS.map((each) => {
      const column = columnOf(each);
      return sql`
  ${column} = case when ${channel} = ${literal(each)} then ${now} else lead.${column} end`;
    }),
  );

/** The channels that send to an address of that kind. */
export const channelsTo = (kind: AddressKind): readonly Channel[] =>
  CHANNELS.filter((channel) => ADDRESS_OF_CHANNEL[channel] === kind);

/** When a channel that sends to an address of that kind last reached `lead`. */
export const lastTouchTo = (kind: AddressKind, lead: Sql): Sql =>
  sql`greatest(${join(channelsTo(kind).map((channel) => sql`${lead}.${columnOf(channel)}`))})`;

/** A CASE on a channel: one branch for each channel with an address, `otherwise` for the rest. */
export const byAddress = (channel: Sql, branch: (kind: AddressKind) => Sql, otherwise: Sql = sql`null`): Sql => sql`
  case ${channel} ${join(
    CHANNELS.flatMap((each) => {
      const kind = ADDRESS_OF_CHANNEL[each];
      return kind ? [sql`when ${literal(each)} then ${branch(kind)}`] : [];
    }),
    " ",
  )} else ${otherwise} end`;
