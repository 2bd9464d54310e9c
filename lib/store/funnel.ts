import * as z from "zod";
import { many, type Queryable } from "./sql.ts";
import { TOUCHED_AT } from "./touch-lists.ts";

/** A step, and how many touches or leads ended so. */
export const funnelStep = z.object({
  sequence: z.string(),
  version: z.int(),
  position: z.int(),
  key: z.string(),
  channel: z.string(),
  sent: z.int(),
  delivered: z.int(),
  replied: z.int(),
  booked: z.int(),
  optedOut: z.int(),
  /** Messages that bounced for good, and addresses that turned out not to accept messages. */
  undeliverable: z.int(),
  /** Messages that were reported as spam. Each is an opt-out, too. */
  complained: z.int(),
  failed: z.int(),
  unknown: z.int(),
});

interface FunnelQuery {
  readonly workspaceId: string;
  /** Only touches from this instant on; null for all. */
  readonly since: Date | null;
  /** Only touches before this instant; null for all. */
  readonly until: Date | null;
  readonly limit: number;
}

/**
 * The outcomes of a workspace's touches in a period, for each step with a touch. Later outcomes count too. A first
 * reply, a first booking and an opt-out count once, at the last touch that was sent to the lead before. A complaint
 * and a bounce count at their touch, an address that turned out undeliverable without a touch that bounced at the last
 * one before. Reads all touches of the workspace. A touch that was not sent counts at its last attempt.
 */
export async function readFunnel(
  db: Queryable,
  { workspaceId, since, until, limit }: FunnelQuery,
): Promise<z.infer<typeof funnelStep>[]> {
  return await many(db, funnelStep)`
    with made as materialized (
      select id, lead_id, step_id, status, sent_at, recipient_hash, delivered_at, bounced_at, complained_at,
             ${TOUCHED_AT} as made_at
        from touch where workspace_id = ${workspaceId}::uuid),
    happened as (
      select 'replied' as what, id as lead_id, first_inbound_at as at from lead
       where workspace_id = ${workspaceId}::uuid and first_inbound_at is not null
      union all
      select 'booked', lead.id, least(lead.booked_at, min(appointment.created_at))
        from lead left join appointment on appointment.workspace_id = lead.workspace_id and appointment.lead_id = lead.id
       where lead.workspace_id = ${workspaceId}::uuid
       group by lead.id, lead.booked_at
      union all
      select 'opted_out', id, opted_out_at from lead
       where workspace_id = ${workspaceId}::uuid and opted_out_at is not null),
    attributed as (
      (select distinct on (happened.what, happened.lead_id) happened.what, made.step_id, made.made_at
         from happened join made on made.lead_id = happened.lead_id and made.status = 'sent' and made.sent_at <= happened.at
        order by happened.what, happened.lead_id, happened.what = 'opted_out' and made.complained_at is not null desc,
                 made.sent_at desc, made.id desc)
      union all
      (select * from (
        select distinct on (suppression.hash) 'undeliverable' as what, made.step_id, made.made_at
          from suppression
          join made on made.recipient_hash = suppression.hash and made.status = 'sent' and made.sent_at <= suppression.since
         where suppression.workspace_id = ${workspaceId}::uuid and suppression.reason = 'undeliverable'
           and suppression.hash not in (select recipient_hash from made where bounced_at is not null and recipient_hash is not null)
         order by suppression.hash, made.sent_at desc, made.id desc) as bounced)),
    counted as (
      select step_id, status::text as what, made_at from made where status in ('sent', 'failed', 'unknown')
      union all
      select step_id, outcome.what, made_at
        from made
       cross join lateral (
         values ('delivered', delivered_at), ('undeliverable', bounced_at), ('complained', complained_at)) as outcome (what, at)
       where outcome.at is not null
      union all
      select step_id, what, made_at from attributed)
    select sequence.name as sequence, step.version, step.position, step.key, step.channel::text,
           (count(*) filter (where what = 'sent'))::int as sent,
           (count(*) filter (where what = 'delivered'))::int as delivered,
           (count(*) filter (where what = 'replied'))::int as replied,
           (count(*) filter (where what = 'booked'))::int as booked,
           (count(*) filter (where what = 'opted_out'))::int as "optedOut",
           (count(*) filter (where what = 'undeliverable'))::int as undeliverable,
           (count(*) filter (where what = 'complained'))::int as complained,
           (count(*) filter (where what = 'failed'))::int as failed,
           (count(*) filter (where what = 'unknown'))::int as unknown
      from counted
      join follow_up_step as step on step.id = counted.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
     where (${since}::timestamptz is null or made_at >= ${since})
       and (${until}::timestamptz is null or made_at < ${until})
     group by sequence.name, sequence.id, step.id
     order by sequence.name, sequence.id, step.version desc, step.position
     limit ${limit}`;
}
