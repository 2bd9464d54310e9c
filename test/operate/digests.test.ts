import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import { answerQuestion, carryOutOrder } from "../../lib/operate/requests.ts";
import { addWorkspace, type Columns } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

async function aDelivery(workspaceId: string, columns: Columns): Promise<string> {
  const { rows } = await sql.query(
    `with digest as (
       insert into notification_digest (workspace_id, window_start, window_end)
       values ($1, now() - interval '1 day', clock_timestamp()) returning id)
     insert into digest_delivery (workspace_id, digest_id, channel, status, reason, sent_at)
     select $1, id, 'email', $2, $3, case when $2 = 'sent'::digest_delivery_status then now() end from digest returning id`,
    [workspaceId, columns["status"], columns["reason"]],
  );
  return rows[0].id;
}

const ask = async (input: object = {}) =>
  JSON.parse(JSON.stringify(await answerQuestion(sql, { question: "digests list", input }))).answer;
const resend = (digest: string) =>
  carryOutOrder(
    sql,
    { order: "digests resend", input: { digest }, orderId: randomUUID(), by: "Hana", reason: "address corrected" },
    null,
  );

it("lists lost digests by workspace, and sends one again, once", async () => {
  const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
  const lost = await aDelivery(one, { status: "failed", reason: "smtp_550" });
  const sent = await aDelivery(one, { status: "sent" });
  const foreign = await aDelivery(other, { status: "unknown" });
  const { digests } = await ask({ workspace: "One" });
  expect(digests).toMatchObject([{ id: lost, channel: "email", status: "failed", reason: "smtp_550" }]);
  expect((await ask()).digests.map(({ id }: { id: string }) => id)).toEqual([foreign, lost]);

  expect(await resend(lost)).toEqual({ outcome: "answered", answer: { digestId: lost } });
  expect(await resend(lost)).toMatchObject({ code: "not_lost", message: expect.stringContaining("is pending") });
  expect(await resend(sent)).toMatchObject({ code: "not_lost" });
  expect(await resend(randomUUID())).toMatchObject({ code: "not_found" });
  expect((await ask()).digests.map(({ id }: { id: string }) => id)).toEqual([foreign]);
  const { rows } = await sql.query("select status from digest_delivery where recheck_at <= now()");
  expect(rows).toEqual([{ status: "pending" }]);
});
