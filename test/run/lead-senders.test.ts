import { expect, it } from "@jest/globals";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addInstance, addLead, addSequence, addWorkspace } from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { leftClaimed, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

const OWN = { senderName: "Hana Weber", senderEmail: "hana@harbour.test", replyTo: "answers@harbour.test" };

it.each([
  ["starts with its claim", {}],
  ["starts later", { store: leftClaimed(runner.ports.store) }],
])("a touch that %s carries the sender of its lead, beside leads without one", async (_what, changes) => {
  const workspaceId = await addWorkspace(sql, { email_from: "Harbour <hello@harbour.test>" });
  const sequence = await addSequence(sql, workspaceId);
  const columns = { sender_name: OWN.senderName, sender_email: OWN.senderEmail, reply_to: OWN.replyTo };
  const lead = await addLead(sql, workspaceId, columns);
  await addInstance(sql, lead, sequence.id);
  await addFollowedLead(sql, workspaceId, sequence.id);
  await runner.run({}, changes);
  const sent = new Map(runner.channel.sent.map((touch) => [touch.leadId, touch]));
  const from = "Harbour <hello@harbour.test>";
  expect(sent.get(lead)).toMatchObject({ from, ownSender: OWN });
  const none = { senderName: null, senderEmail: null, replyTo: null };
  expect([...sent.values()].filter(({ leadId }) => leadId !== lead)).toMatchObject([{ from, ownSender: none }]);
});

it.each([
  ["senderEmail", "Hana <hana@harbour.test>"],
  ["senderEmail", "hana@harbour.test, bob@harbour.test"],
  ["replyTo", "hana"],
  ["senderName", "Hana\nBcc: bob@harbour.test"],
])("an event whose lead has an invalid %s enrols the others only", async (key, value) => {
  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId);
  const leads = [
    { email: "ada@example.test", [key]: value },
    { email: "grace@example.test", ...OWN },
  ];
  const fact = { workspaceId, eventId: "senders", occurredAt: hoursAgo(1), sequence: { id }, leads };
  const outcome = await tell(onPool(sql), "lead.enrolled", fact);
  expect(outcome).toMatchObject({ verdicts: [expect.stringMatching(`^invalid: ${key}: must `), "enrolled"] });
  expect(JSON.stringify(outcome)).not.toContain("bob@");
});
