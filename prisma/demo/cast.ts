import type { Db } from "../../lib/store/connect.ts";
import { Prisma } from "../../lib/store/generated/client.ts";
import { type Part, sqlId } from "./fragments.ts";
import { POISONED_LEADS, STORIES } from "./stories.ts";
import { COMPANY_WORDS, WORKSPACES } from "./workspaces.ts";

/** Creates the temporary table `demo_cast` and its source tables. */
export async function createCast(db: Db): Promise<void> {
  await createStories(db);
  await createPeople(db);
  await db.$executeRaw`
    create temporary table demo_cast (
      number int primary key, workspace_id uuid, story text, status text, reason text, booking text, sequence_id uuid,
      key text, step int, done int, elapsed int, due_at timestamptz(3), reference timestamptz(3), enrolled_at timestamptz(3),
      current text, latest text, standing text, automation boolean, refused boolean, enrichment text, zone text,
      first_name text, last_name text, company text, email text, phone text, linked boolean,
      inbound_at timestamptz(3), answered_at timestamptz(3), snoozed_until timestamptz(3), look_at timestamptz(3),
      outbound_at timestamptz(3)) on commit drop`;
}

/**
 * Decides each lead's identity and history once, for all tables. Expects the temporary tables `demo_sequence` and
 * `demo_step`. `offset 0` keeps the planner from inlining the subqueries and evaluating a chance more than once.
 */
export const castLeads = (part: Part): Prisma.Sql => Prisma.sql`
  insert into demo_cast
  with storied as (${storied(part)}), placed as (${placed(part)} offset 0), timed as (${timed(part)} offset 0),
       named as (${named(part)} offset 0), written as (${written(part)} offset 0)
  select number, workspace_id, story, status, reason, booking, sequence_id, key, step, done, elapsed, due_at, reference,
         enrolled_at, current, latest, standing, automation, refused, enrichment, lead_zone, first_name, last_name,
         company, email, phone, linked, inbound_at, answered_at, snoozed_until, look_at,
         greatest(answered_at, ${lastSentAt})
    from written`;

async function createStories(db: Db): Promise<void> {
  await db.$executeRaw`
    create temporary table demo_story (
      slots int[], name text, workspace int, sequences text[], status text, reason text, position int[], due float8[],
      current text, latest text, standing text, automation boolean, refused boolean, lacks text[], zone text,
      enrichment text, inbound float8[], answered boolean, snoozed float8[], look float8[], booking text) on commit drop`;
  const stories = JSON.stringify(storiesWithSlots());
  await db.$executeRaw`
    insert into demo_story select * from jsonb_populate_recordset(null::demo_story, ${stories}::jsonb)`;
}

/** A shared story gets as many of the slots 0 to 999 as its share; a single lead's story, its negated number. */
function storiesWithSlots(): readonly object[] {
  let next = 0;
  let poisoned = 0;
  return STORIES.map(({ share, ...story }) => {
    const slots = share === 0 ? [-++poisoned] : Array.from({ length: share }, () => next++);
    return { position: [1, 1], ...story, slots };
  });
}

async function createPeople(db: Db): Promise<void> {
  await db.$executeRaw`
    create temporary table demo_people (number int, firsts text[], lasts text[], elsewhere text[]) on commit drop`;
  const people = JSON.stringify(WORKSPACES);
  await db.$executeRaw`
    insert into demo_people select * from jsonb_populate_recordset(null::demo_people, ${people}::jsonb)`;
}

const storied = ({ first, last, chances }: Part) => Prisma.sql`
  select number, story.*,
         coalesce(story.workspace, (array[1, 1, 1, 1, 1, 2, 2, 2, 3, 3])[1 + ${chances.below(10, 1)}]) as place
    from (select number, case when number <= ${POISONED_LEADS}::int then -number else ${chances.below(1_000, 2)} end as slot
            from generate_series(${first}::int, ${last}::int) as number) as lead
    join (select *, unnest(slots) as slot from demo_story) as story using (slot)`;

/** The lead's sequence and its progress in it. */
const placed = ({ chances }: Part) => Prisma.sql`
  select storied.*, sequence.id as sequence_id, sequence.key, progress.step,
         case when reason = 'out_of_steps' then sequence.steps else least(progress.step - 1, sequence.steps) end as done
    from storied
    left join demo_sequence as sequence
      on sequence.place = storied.place and sequence.key = ${chances.of(Prisma.sql`sequences`, 3)}
   cross join lateral (
     select position[1]
            + ${chances.below(Prisma.sql`(1 + greatest(least(position[2], sequence.steps) - position[1], 0))`, 4)} as step
   ) as progress`;

/** `reference` is when the last completed step was sent, otherwise when the lead was enrolled. Never later than now. */
const timed = ({ chances, now }: Part) => Prisma.sql`
  select placed.*, moment.replied_at, coalesce(before.elapsed, 0) as elapsed,
         case when done > 0 and status = 'active' then least(moment.due_at, latest_send + delay) else moment.due_at end
           as due_at,
         least(moment.due_at - delay, moment.replied_at - interval '2 hours', latest_send) as reference
    from placed
    left join demo_step as before on before.sequence_id = placed.sequence_id and before.position = done
    left join demo_step as next on next.sequence_id = placed.sequence_id and next.position = done + 1
   cross join lateral (
     select ${chances.moment(Prisma.sql`due`, now, 5)} as due_at, ${chances.moment(Prisma.sql`inbound`, now, 6)} as replied_at,
            ${now}::timestamptz - make_interval(mins => 1 + ${chances.below(120, 26)}) as latest_send,
            make_interval(mins => coalesce(next.minutes, 0)) as delay
   ) as moment`;

const named = ({ chances }: Part) => Prisma.sql`
  select timed.*, ${sqlId("workspace", Prisma.sql`place`)} as workspace_id,
         reference - make_interval(mins => elapsed) as enrolled_at,
         ${chances.of(Prisma.sql`firsts`, 7)} as first_name, ${chances.of(Prisma.sql`lasts`, 8)} as last_name,
         coalesce(zone, case when ${chances.below(4, 9)} = 0 then ${chances.of(Prisma.sql`elsewhere`, 10)} end) as lead_zone,
         case when 'company' = any(lacks) then null
              else ${chances.of(Prisma.sql`${COMPANY_WORDS.adjectives}::text[]`, 11)}
                   || ' ' || ${chances.of(Prisma.sql`${COMPANY_WORDS.nouns}::text[]`, 12)} end as company,
         case when 'phone' = any(lacks) or ${chances.below(6, 13)} = 0 then null
              -- The numbers 555-0100 to 555-0199 are nobody's. Each lead has its own: a shared one would make them twins.
              else '+1' || 200 + number / 100 % 800 || '55501' || lpad((number % 100)::text, 2, '0') end as phone,
         ${chances.below(3, 16)} = 0 as linked, ${chances.below(180, 17)} as answer_minutes
    from timed
    join demo_people as people (home, firsts, lasts, elsewhere) on home = place`;

/** A lead in the sequence `setter_reply` has written once before and was answered. */
const written = ({ chances, now }: Part) => Prisma.sql`
  select named.*, name as story,
         case when 'email' = any(lacks) then null else lower(translate(first_name || '.' || last_name,
                'äöüßøéēāòëÄÖÜÅ', 'aousoeeaoeaoua')) || '.' || number || '@example.' ||
                (array['com', 'net', 'org'])[1 + ${chances.below(3, 18)}] end as email,
         coalesce(replied_at, case when key = 'setter_reply' then enrolled_at - interval '5 hours' end) as inbound_at,
         case when answered then replied_at + make_interval(mins => 20 + answer_minutes)
              when replied_at is null and key = 'setter_reply' then enrolled_at - make_interval(mins => 20 + answer_minutes)
         end as answered_at,
         ${chances.moment(Prisma.sql`snoozed`, now, 19)} as snoozed_until,
         ${chances.moment(Prisma.sql`look`, now, 20)} as look_at
    from named`;

/** Whether a step can reach the lead. Only such steps have a touch. */
export const REACHED = Prisma.sql`
  (step.channel <> 'sms' or phone is not null) and (step.condition <> 'linkedin_connected' or linked)`;

const lastSentAt = Prisma.sql`(
  select max(reference - make_interval(mins => greatest(written.elapsed - step.elapsed, 0)))
    from demo_step as step
   where step.sequence_id = written.sequence_id and ${REACHED}
     and (step.position < done or (step.position = done and coalesce(latest, 'sent') in ('sent', 'unknown', 'sending'))
          or (step.position = written.step and current = 'sent')))`;
