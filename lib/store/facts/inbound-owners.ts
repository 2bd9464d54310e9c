import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import { phoneKeys } from "../../domain/phone.ts";
import type { MailOwner } from "../../inbound/inbound-facts.ts";
import type { MailMarks } from "../../inbound/mail.ts";
import type { InboundText } from "../../inbound/texts.ts";
import type { InboundOwners } from "../../run/facts-of-message.ts";
import { many, type Queryable, type Sql, sql } from "../sql.ts";
import { findTouch } from "./leads.ts";

/** Finds whose leads a mail, a text or a report of a provider concerns. Reads only. */
export const inboundOwners = (db: Queryable): InboundOwners => ({
  knowsTouch: async (workspaceId, touchId) => (await findTouch(db, workspaceId, touchId)) !== undefined,
  ofText: (text) => ownersOfText(db, text),
  ofMail: (marks) => ownersOfMail(db, marks),
});

/** Whether a message on the channel went out, or may have, to `lead`. */
const wasSent = (channel: "email" | "sms"): Sql => sql`
  exists (
    select from follow_up_instance as instance
      join touch on touch.instance_id = instance.id
     where instance.lead_id = lead.id and instance.workspace_id = lead.workspace_id
       and touch.channel = ${channel}::channel and touch.status in ('sending', 'sent', 'unknown'))`;

const countryRow = z.object({ country: z.string().nullable() });
const textOwnerRow = z.object({ workspaceId: z.guid(), answered: z.boolean() });

/**
 * The workspaces that texted the number. The workspace whose message the text answers is the only one, unless the
 * person opts out or in: that concerns the sender's number, which workspaces share.
 */
async function ownersOfText(db: Queryable, { number, answers, meaning }: InboundText): Promise<readonly string[]> {
  const countries = await many(db, countryRow)`select distinct holiday_country as country from workspace`;
  const keys = countries.flatMap(({ country }) => phoneKeys(number, country).map((key) => ({ country, key })));
  const owners = await many(db, textOwnerRow)`
    select workspace.id as "workspaceId",
           coalesce(bool_or(exists (
             select from follow_up_instance as instance
               join touch on touch.instance_id = instance.id
              where instance.lead_id = lead.id and touch.channel = 'sms' and touch.provider_id = ${answers ?? null})),
             false) as answered
      from unnest(${keys.map(({ country }) => country)}::text[], ${keys.map(({ key }) => key)}::text[])
             as given (country, key)
      join workspace on workspace.holiday_country is not distinct from given.country
      join lead on lead.workspace_id = workspace.id and lead.normalised_phone = given.key
     where ${wasSent("sms")}
     group by workspace.id
     order by workspace.id`;
  const answered = owners.filter((owner) => owner.answered);
  const concerned = meaning === "replied" && answered.length > 0 ? answered : owners;
  return concerned.map(({ workspaceId }) => workspaceId);
}

/** The owners of a mail: those of its touches, else those of its addresses. */
async function ownersOfMail(db: Queryable, marks: MailMarks): Promise<readonly MailOwner[] | "own_mail"> {
  const touched = await touchesOf(db, marks);
  if (touched.length === 0) return await ownersOfAddresses(db, marks);
  const [author = ""] = marks.addresses;
  if (touched.some((touch) => isOurs(author, touch))) return "own_mail";
  return touched;
}

const touchRow = z.object({
  workspaceId: z.guid(),
  touchId: z.guid(),
  email: z.string().nullable(),
  wentToReported: z.boolean(),
  from: z.string(),
  senderEmail: z.string().nullable(),
  replyTo: z.string().nullable(),
});
type TouchRow = z.infer<typeof touchRow>;

/** The latest of the touches for each lead. Uses the index `touch_email_provider_id`. */
const touchesOf = (db: Queryable, { touchIds, messageIds, addresses }: MailMarks): Promise<readonly TouchRow[]> =>
  many(db, touchRow)`
    with named as materialized (
      select id, workspace_id from touch where id = any(${[...touchIds]}::uuid[])
      union
      select id, workspace_id from touch
       where channel = 'email' and provider_id is not null and provider_id = any(${[...messageIds]}::text[]))
    select distinct on (touch.workspace_id, touch.lead_id)
           touch.workspace_id as "workspaceId", touch.id as "touchId", lead.email, workspace.email_from as "from",
           lead.sender_email as "senderEmail", lead.reply_to as "replyTo",
           coalesce(touch.recipient_hash = any(array(
             select suppression_hash(touch.workspace_id, address)
               from unnest(${addresses.flatMap(addressKeys)}::text[]) as address)), false) as "wentToReported"
      from named
      join touch on touch.id = named.id and touch.workspace_id = named.workspace_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
      join workspace on workspace.id = touch.workspace_id
     order by touch.workspace_id, touch.lead_id, touch.claimed_at desc, touch.id desc`;

/**
 * Whether the mail is our side of the conversation, of which the mailbox forwards a copy. A person may be lead and
 * sender at once, as in a trial.
 */
const isOurs = (author: string, { from, senderEmail, replyTo, email }: TouchRow): boolean =>
  [from, senderEmail, replyTo].some((own) => sameMailbox(author, own ?? "")) && !sameMailbox(author, email ?? "");

const sameMailbox = (one: string, other: string): boolean => {
  const keys = new Set(addressKeys(one));
  return addressKeys(other).some((key) => keys.has(key));
};

const addressOwnerRow = z.object({ workspaceId: z.guid(), email: z.string() });
const workspaceRow = z.object({ id: z.guid() });

/** Leads with one of the addresses: in the workspace that the recipient names, else in all that mailed them. */
async function ownersOfAddresses(db: Queryable, { addresses, workspaceIds }: MailMarks): Promise<readonly MailOwner[]> {
  const keys = addresses.flatMap(addressKeys);
  if (keys.length === 0) return [];
  const named = await many(db, workspaceRow)`select id from workspace where id = any(${[...workspaceIds]}::uuid[])`;
  const chosen = named.length > 0 ? sql`workspace.id = any(${named.map(({ id }) => id)}::uuid[])` : wasSent("email");
  return await many(db, addressOwnerRow)`
    select distinct on (workspace.id) workspace.id as "workspaceId", lead.normalised_email as email
      from unnest(${keys}::text[]) with ordinality as given (key, place)
     cross join workspace
      join lead on lead.workspace_id = workspace.id and lead.normalised_email = given.key
     where ${chosen}
     order by workspace.id, given.place`;
}
