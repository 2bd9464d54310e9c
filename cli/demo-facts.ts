import { randomBytes, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as z from "zod";
import { TOUCH_TAG, WORKSPACE_TAG } from "../lib/domain/mail-marks.ts";
import { givenConnectionSecrets } from "../lib/platform/connection-secrets.ts";
import { unsubscribeKeysOf } from "../lib/platform/unsubscribe-links.ts";
import { applyEvent, type EventOutcome } from "../lib/run/apply-messages.ts";
import type { Database } from "../lib/store/connect.ts";
import { intakeStore } from "../lib/store/facts/apply-fact.ts";
import { newKey } from "./connect/connection.ts";
import { signedHeaders } from "./connect/signed-headers.ts";
import { bookingWebhook } from "./demo-calendly.ts";
import { intakeBus, type LocalWebhooks, startLocalWebhooks } from "./local-webhooks.ts";

/** A demo lead that booked. */
export interface DemoBooking {
  readonly leadId: string;
  /** The status of the answer to the webhook. */
  readonly status: number;
  readonly outcome: EventOutcome;
}

/** A mail whose receiver unsubscribed. */
export interface DemoOptOut {
  readonly mail: string;
  readonly outcome: EventOutcome;
}

/** A mail that bounced. */
export interface DemoBounce extends DemoOptOut {
  /** The later e-mails of the lead's sequences, which are now skipped. */
  readonly skippedSteps: number;
}

interface Reactions {
  readonly optOut: DemoOptOut | null;
  readonly bounce: DemoBounce | null;
}

/** Facts that other systems report in the demo, through the code of functions/webhooks.ts and functions/intake.ts. */
export interface DemoFacts {
  /** The environment variables with which the follow-ups function links mails to the unsubscribe page. */
  readonly environment: Readonly<Record<"UNSUBSCRIBE_BASE_URL" | "UNSUBSCRIBE_KEY", string>>;
  /** Books one lead in an active sequence by a webhook that is signed as Calendly signs. Null if there is no such lead. */
  book(): Promise<DemoBooking | null>;
  /** Files by the ids of their touches. One receiver unsubscribes, and another mail bounces; null where none fits. */
  react(mails: ReadonlyMap<string, string>): Promise<Reactions>;
}

/** Serves the webhooks on this machine while `work` runs. */
export async function withDemoFacts<Result>(
  database: Pick<Database, "pool">,
  work: (facts: DemoFacts) => Promise<Result>,
): Promise<Result> {
  const UNSUBSCRIBE_KEY = randomBytes(32).toString("base64url");
  const signingKey = newKey();
  const outcomes: EventOutcome[] = [];
  const server = await startDemoWebhooks(database, { UNSUBSCRIBE_KEY, signingKey }, outcomes);
  const latest = () => outcomes.at(-1) ?? { outcome: "ignored" as const, reason: "no_fact" };
  try {
    return await work({
      environment: { UNSUBSCRIBE_BASE_URL: server.url, UNSUBSCRIBE_KEY },
      async book() {
        const lead = await leadToBook(database);
        if (!lead) return null;
        const status = await postBooking(server, lead, signingKey);
        return { leadId: lead.leadId, status, outcome: latest() };
      },
      async react(mails) {
        const [first, second] = await chasedByMail(database, mails);
        const isOut = first !== undefined && (await unsubscribe(first.mail, server));
        return {
          optOut: isOut ? { mail: first.mail, outcome: latest() } : null,
          bounce: second ? await bounced(database, second) : null,
        };
      },
    });
  } finally {
    await server.close();
  }
}

/** Webhooks without a log. Every workspace is connected with Calendly by the same key. */
function startDemoWebhooks(
  database: Pick<Database, "pool">,
  { UNSUBSCRIBE_KEY, signingKey }: { readonly UNSUBSCRIBE_KEY: string; readonly signingKey: string },
  outcomes: EventOutcome[],
) {
  const silent = () => undefined;
  return startLocalWebhooks(
    {
      secrets: (workspaceId, tool) =>
        givenConnectionSecrets({ [`${workspaceId}/calendly`]: { signingKeys: [signingKey] } })(workspaceId, tool),
      bus: intakeBus(database, (_, outcome) => outcomes.push(outcome)),
      unsubscribeKeys: unsubscribeKeysOf({ UNSUBSCRIBE_KEY }),
      now: () => new Date(),
      log: { info: silent, error: silent },
    },
    0,
  );
}

const candidate = z.object({ workspaceId: z.guid(), leadId: z.guid(), email: z.string() });

/** A lead in an active sequence, of this workspace or of any; the same one for the same data. */
export async function leadToBook(
  { pool }: Pick<Database, "pool">,
  workspaceId: string | null = null,
): Promise<z.infer<typeof candidate> | undefined> {
  const { rows } = await pool.query(
    `select lead.workspace_id as "workspaceId", lead.id as "leadId", lead.email
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     where instance.status = 'active' and not instance.post_booking and not instance.lead_booked
       and instance.next_step_due > now() + interval '1 hour' and lead.status = 'qualified'
       and lead.email ~ '^[a-z0-9.+_-]+@[a-z0-9.-]+$' and ($1::uuid is null or lead.workspace_id = $1)
     order by lead.id
     limit 1`,
    [workspaceId],
  );
  return z.array(candidate).parse(rows)[0];
}

/** Posts the webhook that Calendly sends for a meeting in a week. Returns the status of the answer. */
async function postBooking(
  { url }: LocalWebhooks,
  { workspaceId, email }: z.infer<typeof candidate>,
  signingKey: string,
): Promise<number> {
  const body = bookingWebhook(email, new Date());
  const headers = signedHeaders("calendly", { signingKeys: [signingKey], bearerTokens: [] }, body);
  return (await fetch(`${url}/calendly/${workspaceId}`, { method: "POST", headers, body })).status;
}

const mailed = z.object({ workspaceId: z.guid(), touchId: z.guid(), laterMails: z.int() });
type Mailed = z.infer<typeof mailed> & { readonly mail: string };

/** Mails to two leads with later e-mails in active sequences. The same leads for the same data. */
async function chasedByMail(
  { pool }: Pick<Database, "pool">,
  mails: ReadonlyMap<string, string>,
): Promise<readonly Mailed[]> {
  const { rows } = await pool.query(
    `select touch.workspace_id as "workspaceId", min(touch.id::text) as "touchId", count(*)::int as "laterMails"
       from touch
       join follow_up_instance as instance
         on instance.workspace_id = touch.workspace_id and instance.lead_id = touch.lead_id and instance.status = 'active'
       join follow_up_step as step on step.sequence_id = instance.sequence_id and step.position >= instance.position
      where touch.id::text = any($1) and touch.status = 'sent' and step.channel = 'email'
      group by touch.workspace_id, touch.lead_id
      order by touch.lead_id
      limit 2`,
    [[...mails.keys()]],
  );
  return z
    .array(mailed)
    .parse(rows)
    .map((row) => ({ ...row, mail: mails.get(row.touchId) ?? "" }));
}

/** Follows the link of a mail, as a mail program does. Returns whether it has one. */
async function unsubscribe(mail: string, page: LocalWebhooks): Promise<boolean> {
  const link = linkIn(await readFile(mail, "utf8"), page.url);
  if (link === undefined) return false;
  await fetch(link, { method: "POST", body: new URLSearchParams({ "List-Unsubscribe": "One-Click" }) });
  return true;
}

/** The link in the header of a mail, if it leads to this page. */
const linkIn = (mail: string, page: string): string | undefined =>
  [...mail.matchAll(/^List-Unsubscribe:\s*<([^>]*)>/gm)]
    .map(([, link = ""]) => link)
    .find((link) => link.startsWith(page));

/** Gives the intake the event that SES puts on EventBridge. */
async function bounced(
  database: Pick<Database, "pool">,
  { workspaceId, touchId, mail: file, laterMails }: Mailed,
): Promise<DemoBounce | null> {
  const timestamp = new Date().toISOString();
  const event = {
    source: "aws.ses",
    "detail-type": "Email Bounced",
    time: timestamp,
    detail: {
      mail: { messageId: randomUUID(), tags: { [TOUCH_TAG]: [touchId], [WORKSPACE_TAG]: [workspaceId] } },
      bounce: {
        bounceType: "Permanent",
        bounceSubType: "General",
        bouncedRecipients: [{ status: "5.1.1" }],
        feedbackId: randomUUID(),
        timestamp,
      },
    },
  };
  const [outcome] = await applyEvent(JSON.stringify(event), intakeStore(database));
  return outcome ? { mail: file, outcome, skippedSteps: laterMails } : null;
}
