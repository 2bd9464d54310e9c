import { beforeEach, describe, expect, it } from "@jest/globals";
import { openDatabase } from "../../lib/store/connect.ts";
import { aBounce, aComplaint, aDelivery, aReject, sesEvent, type Tagged } from "../inbound/ses-examples.ts";
import { atEnd } from "../support/at-end.ts";
import { addWorkspace, type Columns } from "../support/factories.ts";
import { addReached, type Reached, takeIn } from "../support/intake.ts";
import { long } from "../support/long.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: testDatabase, sql } = await useDatabase();
const database = openDatabase({ connectionString: testDatabase.url });
atEnd(() => database.close());
let ada: Reached;

beforeEach(async () => {
  ada = await addReached(sql, await addWorkspace(sql), { lead: {} });
});

/** An event with a message id of its own, as each mail has. */
function eventOf(type: string, detail: Columns, tagged: Partial<Tagged>, messageId?: string): Columns {
  const event = sesEvent(type, detail, tagged);
  const { mail, ...others } = event["detail"] as { mail: Columns };
  return { ...event, detail: { mail: { ...mail, messageId: messageId ?? `m-${tagged.touchId}` }, ...others } };
}

const EVENTS = {
  delivered: () => eventOf("Email Delivered", aDelivery, ada),
  bounced: () => eventOf("Email Bounced", aBounce(), ada),
  complained: () => eventOf("Email Complaint Received", aComplaint(), ada),
};

/** The columns that the events of a mail decide. */
const standingOf = async ({ touchId, leadId, instanceId, workspaceId }: Reached) => {
  const { rows } = await sql.query(
    `select touch.status::text, delivered_at as delivered, bounced_at as bounced, complained_at as complained,
            suppressed_reason::text as suppressed, email_undeliverable as undeliverable, instance.status::text as instance,
            (select array_agg(distinct reason::text) from suppression where workspace_id = $4) as suppressions
       from touch, lead, follow_up_instance as instance
      where touch.id = $1 and lead.id = $2 and instance.id = $3`,
    [touchId, leadId, instanceId, workspaceId],
  );
  return rows[0];
};

describe("the events of SES about a mail", () => {
  long.it("suppress an address that bounced, and leave the sequence to other channels", async () => {
    expect((await takeIn(database, [EVENTS.bounced()])).report).toMatchObject({ applied: 1 });
    expect(await standingOf(ada)).toMatchObject({
      bounced: expect.any(Date),
      suppressions: ["undeliverable"],
      undeliverable: true,
      instance: "active",
    });
  });

  it("end everything for a lead that complained", async () => {
    await takeIn(database, [EVENTS.complained()]);
    expect(await standingOf(ada)).toMatchObject({ suppressions: ["complained", "opted_out"], instance: "completed" });
  });

  it("settle a touch of unknown outcome as sent, once it is delivered", async () => {
    await sql.query("update touch set status = 'unknown', sent_at = null, unknown_attempt_at = now() where id = $1", [
      ada.touchId,
    ]);
    await takeIn(database, [EVENTS.delivered()]);
    expect(await standingOf(ada)).toMatchObject({ status: "sent", delivered: expect.any(Date), suppressions: null });
  });

  it("let a touch fail that SES rejected after it had accepted it", async () => {
    await takeIn(database, [eventOf("Email Rejected", aReject, ada)]);
    expect(await standingOf(ada)).toMatchObject({ status: "failed" });
  });

  it("have one effect in any order, each twice", async () => {
    const orders = [
      ["delivered", "bounced", "complained"],
      ["delivered", "complained", "bounced"],
      ["bounced", "delivered", "complained"],
      ["bounced", "complained", "delivered"],
      ["complained", "delivered", "bounced"],
      ["complained", "bounced", "delivered"],
    ] as const;
    const standings = [];
    for (const order of orders) {
      ada = await addReached(sql, await addWorkspace(sql), { lead: {} });
      for (const name of order) {
        const taken = await takeIn(database, [EVENTS[name]()]);
        expect(taken.report).toMatchObject({ applied: 1 });
        expect((await takeIn(database, [EVENTS[name]()])).report).toMatchObject({ duplicate: 1 });
      }
      standings.push(await standingOf(ada));
    }
    expect(standings[0]).toMatchObject({ status: "sent", suppressions: ["complained", "opted_out", "undeliverable"] });
    for (const standing of standings) expect(standing).toEqual(standings[0]);
  });

  it("are ignored for touches that nobody knows here, and counted", async () => {
    const nobody = "0190f0f0-0000-7000-8000-0000000000ff";
    const another = await addReached(sql, await addWorkspace(sql), { lead: {} });
    const strangers = [
      { ...ada, touchId: nobody },
      { ...ada, workspaceId: nobody },
      { ...ada, workspaceId: another.workspaceId },
    ];
    const events = strangers.flatMap((tagged) => [
      eventOf("Email Bounced", aBounce(), tagged),
      eventOf("Email Delivered", aDelivery, tagged),
    ]);
    const { report, refused, ignored } = await takeIn(database, events);
    expect(report).toMatchObject({ ignored: 6, applied: 0 });
    expect({ refused, ignored }).toEqual({ refused: [], ignored: { unknown_touch: 6 } });
    expect(await standingOf(ada)).toMatchObject({ bounced: null, suppressions: null });
  });

  long.it("do not wait for each other: a thousand in a batch, one of them invalid", async () => {
    const foreign = Array.from({ length: 800 }, () => eventOf("Email Bounced", aBounce(), {}));
    const opened = Array.from({ length: 99 }, () => eventOf("Email Opened", {}, ada));
    const bounces = Array.from({ length: 100 }, (_, index) => eventOf("Email Bounced", aBounce(), ada, `m-${index}`));
    const bad = eventOf("Email Bounced", { bounce: "yes" }, ada);
    const { report, refused, ignored, failedMessageIds, log } = await takeIn(database, [
      bad,
      ...foreign,
      ...opened,
      ...bounces,
    ]);
    expect(report).toMatchObject({ applied: 100, refused: 1, ignored: 899, failed: 0 });
    expect(ignored).toEqual({ mail_without_touch: 800, event_without_effect: 99 });
    expect({ refused, failedMessageIds }).toEqual({
      refused: [expect.stringContaining("not a documented event of SES: bounce: ")],
      failedMessageIds: [],
    });
    expect(log).not.toMatch(/@/);
  });
});
