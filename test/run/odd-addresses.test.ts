import { randomUUID } from "node:crypto";
import { domainToUnicode } from "node:url";
import { describe, expect } from "@jest/globals";
import { readAddress } from "../../lib/domain/address.ts";
import type { BusEvent } from "../../lib/inbound/translation.ts";
import { unsubscribeToken } from "../../lib/inbound/unsubscribe-link.ts";
import { givenConnectionSecrets, type Tool } from "../../lib/platform/connection-secrets.ts";
import { answerRequest } from "../../lib/platform/webhook-routes.ts";
import { mailOf } from "../inbound/mail-examples.ts";
import { aBounce, aComplaint, sesEvent } from "../inbound/ses-examples.ts";
import { anInvitee, calcom, calcomAttendee, calendly, instantAt } from "../support/booking-payloads.ts";
import { addFollowedLead, addSequence, addWorkspace, type Columns } from "../support/factories.ts";
import { takeIn } from "../support/intake.ts";
import { long } from "../support/long.ts";
import { useRunner } from "../support/run.ts";
import { aRequest, KEYS, SIGNERS } from "../support/webhook-requests.ts";

const { sql, runner } = await useRunner();
const UNSUBSCRIBE_KEY = "k".repeat(32);

/** Addresses as rows hold them, each of another person. Some are never mailed, but may be written to by hand. */
const ODD_ADDRESSES = [
  "plain@example.com",
  "UPPER@EXAMPLE.COM",
  "Mixed.Case@Example.Com",
  "plus+tag@example.com",
  "two+plus+tags@example.com",
  "under_score@example.com",
  "dash-dash@example-host.com",
  "-leading-dash@example.com",
  "1234567890@example.com",
  "o'brien@example.com",
  "'quoted'@example.com",
  "r&d@example.com",
  "50%off@example.com",
  "a/b=c?d@example.com",
  "a!#$%&'*+/=?^_`{|}~-z@example.com",
  "first.middle.last@sub.sub.example.co.uk",
  "x@example.museum",
  "numeric@123.example",
  `long@${"a".repeat(63)}.com`,
  `${"l".repeat(64)}@example.com`,
  '"quoted local"@example.com',
  '"with,comma"@example.com',
  '"at@sign"@example.com',
  "Ida Sommer <named@example.com>",
  '"Sommer, Ida" <comma@example.com>',
  '"Ida \\"I\\" Sommer" <escaped@example.com>',
  "Zoë Müller <unicode-name@example.com>",
  "<brackets@example.com>",
  "mailto:link@example.com",
  "MAILTO:LINK2@example.com",
  " blanks@example.com ",
  "\ttab@example.com\n",
  "no\u00a0break@example.com\u00a0",
  "zero\u200bwidth@example.com",
  "\ufeffbom@example.com",
  "soft\u00adhyphen@example.com",
  "\u202adirection@example.com\u202c",
  "dot@example.com.",
  "info@bücher.example",
  "info2@xn--bcher-kva.example",
  "INFO3@XN--BCHER-KVA.EXAMPLE",
  "ida@xn--strae-oqa.example",
  "ida@xn--e1afmkfd.xn--p1ai",
  "ida@xn--fsqu00a.xn--4rr70v",
  "Ida Sommer <idn@xn--hxakic4aa.example>",
  "plus+idn@xn--bcher-kva.example",
  "info4@BÜCHER.example",
  "info5@bu\u0308cher.example",
  "zoë@example.com",
  "müller@bücher.example",
  "почта@пример.рф",
  "info@папироска.рф",
  "用户@例子.广告",
  "二@例子.example",
  "ß@straße.example",
  "double..dot@example.com",
  ".leading@example.com",
  "trailing.@example.com",
  "at@host-without-dot",
  "ip@[192.0.2.1]",
] as const;

interface Lead {
  readonly workspaceId: string;
  readonly leadId: string;
  readonly stored: string;
  /** The touch that a run sent; undefined if the address cannot be mailed. */
  readonly touchId: string | undefined;
}

/** Leads with odd addresses, after a run that sent each its first message, and a lead that nobody reports. */
async function chased(): Promise<{ readonly leads: readonly Lead[]; readonly stranger: string }> {
  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId, { steps: [{}, {}] });
  const follow = (email: string) => addFollowedLead(sql, workspaceId, id, { lead: { email } });
  const added = await Promise.all(ODD_ADDRESSES.map(async (stored) => ({ stored, ...(await follow(stored)) })));
  const { leadId: stranger } = await follow("stranger@example.com");
  const { success } = await runner.run({ workspaceId });
  expect(success).toBe(true);
  const { rows } = await sql.query<{ id: string; lead_id: string }>(
    "select id, lead_id from touch where workspace_id = $1 and status = 'sent'",
    [workspaceId],
  );
  const touches = new Map(rows.map((row) => [row.lead_id, row.id]));
  const leads = added.map(({ stored, leadId }) => ({ workspaceId, leadId, stored, touchId: touches.get(leadId) }));
  return { leads, stranger };
}

/** Notations in which other systems give the address back. One that was never mailed comes from the row. */
function notationsOf({ stored, touchId }: Lead): readonly string[] {
  const read = readAddress(stored);
  if ("fault" in read || touchId === undefined) return [stored];
  const { address } = read;
  const [local = "", domain = ""] = address.split("@");
  return [
    stored,
    address,
    `${local}@${domain.toUpperCase()}`,
    address.toUpperCase(),
    `${local}@${domainToUnicode(domain)}`,
    `Ida Sommer <${address}>`,
    ` ${address}\u200b `,
  ];
}

interface Route {
  readonly name: string;
  /** Whether it concerns only addresses that were mailed. */
  readonly answers?: true;
  /** The event that reaches the intake. */
  readonly eventOf: (lead: Lead, email: string) => Promise<object> | object;
  /** Whether it has had its effect, in SQL. */
  readonly effect: string;
}

const OPTED_OUT =
  "opted_out_at is not null and not exists (select from follow_up_instance where lead_id = lead.id and status in ('active', 'paused'))";
const BOUNCED = "email_undeliverable";
const COMPLAINED = "suppressed_reason = 'complained'";
const REPLIED = "last_inbound_at is not null";
const BOOKED =
  "is_booked and not exists (select from follow_up_instance where lead_id = lead.id and status = 'active')";

const mails = new Map<string, Buffer>();
/** Sends a signed request to the webhooks function, and returns the event that it puts on the bus. */
async function posted(tool: Tool, workspaceId: string, payload: object): Promise<object> {
  const body = JSON.stringify(payload);
  return await put(
    aRequest(`/${tool}/${workspaceId}`, body, { headers: SIGNERS[tool](KEYS[tool][0], body, new Date()) }),
  );
}

async function put(request: object): Promise<object> {
  const facts: BusEvent[] = [];
  const secrets = { signingKeys: [] as readonly string[], bearerTokens: [] };
  const silent = () => undefined;
  const { answer } = await answerRequest(request, {
    secrets: (workspaceId, tool) =>
      givenConnectionSecrets({ [`${workspaceId}/${tool}`]: { ...secrets, signingKeys: KEYS[tool] } })(
        workspaceId,
        tool,
      ),
    bus: { put: (sent) => Promise.resolve(void facts.push(...sent)) },
    unsubscribeKeys: () => Promise.resolve({ current: UNSUBSCRIBE_KEY, former: [] }),
    now: () => new Date(),
    log: { info: silent, error: silent },
  });
  const [fact] = facts;
  if (!fact) throw new Error(`the webhooks function answered ${answer.statusCode}: ${answer.body}`);
  return { source: "backstop.webhooks", "detail-type": fact.type, detail: fact.detail };
}

const ofSes = (type: string, detail: Columns, { workspaceId, touchId = "" }: Lead): object => {
  const event = sesEvent(type, detail, { workspaceId, touchId });
  const { mail, ...rest } = event["detail"] as { mail: Columns };
  return { ...event, detail: { ...rest, mail: { ...mail, messageId: touchId } } };
};

const fact = (type: string, email: string, more: object = {}) => ({
  type,
  eventId: randomUUID(),
  occurredAt: new Date().toISOString(),
  lead: { email },
  ...more,
});
const byFacts = (type: string, effect: string, more: object = {}): Route => ({
  name: `${type} by posted facts`,
  eventOf: ({ workspaceId }, email) => posted("facts", workspaceId, fact(type, email, more)),
  effect,
});

const ROUTES: readonly Route[] = [
  {
    name: "an opt-out by the link in the message",
    answers: true,
    eventOf: ({ workspaceId, touchId = "" }) =>
      put(aRequest(`/unsubscribe/${unsubscribeToken({ workspaceId, touchId }, UNSUBSCRIBE_KEY)}`, "")),
    effect: OPTED_OUT,
  },
  {
    name: "a bounce that SES reports",
    answers: true,
    eventOf: (lead) => ofSes("Email Bounced", aBounce(), lead),
    effect: BOUNCED,
  },
  {
    name: "a complaint that SES reports",
    answers: true,
    eventOf: (lead) => ofSes("Email Complaint Received", aComplaint(), lead),
    effect: COMPLAINED,
  },
  {
    name: "a reply by mail, matched by its sender",
    answers: true,
    eventOf(_lead, email) {
      const key = randomUUID();
      mails.set(key, Buffer.from(mailOf({ From: email.trim(), "Message-ID": `<${key}@example.com>` })));
      const detail = { bucket: { name: "mails" }, object: { key } };
      return { source: "aws.s3", "detail-type": "Object Created", time: new Date().toISOString(), detail };
    },
    effect: REPLIED,
  },
  {
    name: "a booking by Calendly",
    eventOf: ({ workspaceId }, email) =>
      posted("calendly", workspaceId, calendly("invitee.created", anInvitee(), { invitee: { email } })),
    effect: BOOKED,
  },
  {
    name: "a booking by Cal.com",
    eventOf: ({ workspaceId }, email) =>
      posted(
        "calcom",
        workspaceId,
        calcom("BOOKING_CREATED", randomUUID(), { payload: { attendees: [calcomAttendee(email)] } }),
      ),
    effect: BOOKED,
  },
  byFacts("lead.opted_out", OPTED_OUT),
  byFacts("lead.bounced", BOUNCED, { kind: "permanent" }),
  byFacts("lead.complained", COMPLAINED),
  byFacts("lead.replied", REPLIED),
  byFacts("meeting.booked", BOOKED, {
    meeting: { id: randomUUID(), startsAt: instantAt(20_000), endsAt: instantAt(20_030) },
  }),
];

const affected = async (leadIds: readonly string[], effect: string): Promise<ReadonlySet<string>> => {
  const { rows } = await sql.query<{ id: string }>(`select id from lead where id = any($1) and ${effect}`, [leadIds]);
  return new Set(rows.map(({ id }) => id));
};

const readMails = { bucket: "mails", read: (key: string) => Promise.resolve(mails.get(key)) };

describe("each odd address of a lead, mailed or not, is found by", () => {
  long.it.each(ROUTES.map((route, index) => ({ ...route, index })))(
    "$name",
    async ({ index, answers, eventOf, effect }) => {
      const { leads, stranger } = await chased();
      const mailed = leads.filter(({ touchId }) => touchId !== undefined);
      expect(mailed.length).toBeGreaterThan(40);
      const reported = answers ? mailed : leads;
      const events = await Promise.all(
        reported.map((lead, at) => {
          const notations = notationsOf(lead);
          // Each route gets another notation of the same address.
          return eventOf(lead, notations[(at + index) % notations.length] ?? lead.stored);
        }),
      );
      const { report, refused, ignored } = await takeIn(runner.ports.database, events, { mails: readMails });
      const found = await affected([...leads.map(({ leadId }) => leadId), stranger], effect);
      const missed = reported.filter(({ leadId }) => !found.has(leadId)).map(({ stored }) => stored);
      const { created } = report;
      expect({ missed, refused, ignored, created }).toEqual({ missed: [], refused: [], ignored: {}, created: 0 });
      expect(found.has(stranger)).toBe(false);
    },
  );
});
