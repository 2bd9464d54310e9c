import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "@jest/globals";
import type { SMTPServerOptions } from "smtp-server";
import type { TimeLimits } from "../../lib/channels/aws-request.ts";
import { smtpChannel } from "../../lib/channels/smtp.ts";
import { webhookChannel } from "../../lib/channels/webhook.ts";
import type { MessageChannel } from "../../lib/run/channel-ports.ts";
import {
  answering,
  closeServers,
  deadPort,
  httpServer,
  rawSmtpServer,
  SILENCES,
  smtpServer,
} from "../channels/servers.ts";
import { endpointAt } from "../channels/webhook-endpoint.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { clockAt, useRunner } from "../support/run.ts";
import { deleteAll } from "../support/use-database.ts";

const NOW = Date.UTC(2030, 0, 7, 9);
const HOUR_MS = 60 * 60_000;
const PATIENT = { connectMs: 5_000, answerMs: 5_000 };
/** For servers that never answer in time. */
const HASTY = { connectMs: 5_000, answerMs: 500 };
const isSlow = (behaviour: string) => behaviour === "hangs" || behaviour === "answers late";
const limitsFor = (behaviour: string) => (isSlow(behaviour) ? HASTY : PATIENT);

const { sql, runner } = await useRunner({ empty: true });

afterEach(closeServers);

async function addDue(count: number, channel: "email" | "webhook"): Promise<void> {
  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId, { steps: [{ channel }] });
  for (let number = 0; number < count; number++) await addFollowedLead(sql, workspaceId, id);
}

const runThrough = (provider: MessageChannel, hours = 0, settings = {}) =>
  runner.run(
    {},
    {
      ...clockAt(NOW + hours * HOUR_MS),
      channels: { ...runner.ports.channels, email: provider, webhook: provider },
      settings,
    },
  );

async function touches() {
  const { rows } = await sql.query(
    "select status, failures, attempts, count(*)::int from touch group by 1, 2, 3 order by 1, 2, 3",
  );
  return rows;
}

const RETRIED = { counted: "retrying", touch: { status: "claimed", failures: 1, attempts: 1 } };
const WAITING = { counted: "retrying", touch: { status: "claimed", failures: 0, attempts: 0 } };
const PUT_OFF = { counted: "retrying", touch: { status: "claimed", failures: 0, attempts: 1 } };
const SENT = { counted: "sent", touch: { status: "sent", failures: 0, attempts: 1 } };
const FAILED = { counted: "failed", touch: { status: "failed", failures: 0, attempts: 1 } };
const UNKNOWN = { counted: "unknown", touch: { status: "unknown", failures: 0, attempts: 1 } };

const smtpAt = (port: number, limits: TimeLimits) => smtpChannel(`smtp://127.0.0.1:${port}`, { limits });
const webhookAt = (port: number, { answerMs }: TimeLimits = PATIENT) => webhookChannel(endpointAt(port), answerMs);
const smtpSaying = (responseCode: number) =>
  smtpServer({
    onMailFrom: (_address, _session, callback) => callback(Object.assign(new Error("no"), { responseCode })),
  });
const toRecipients = (responseCode: number): SMTPServerOptions => ({
  onRcptTo: (_address, _session, callback) => callback(Object.assign(new Error("no"), { responseCode })),
});
type Answer = (response: ServerResponse) => void;
const late: Answer = (response) => void setTimeout(() => answering(200)(response), 2 * HASTY.answerMs).unref();

describe("a run through an SMTP server", () => {
  long.it.each([
    ["takes all", () => smtpServer({}), SENT],
    ["refuses", () => smtpServer(toRecipients(550)), FAILED],
    ["refuses the sender", () => smtpSaying(550), WAITING],
    ["is busy", () => smtpSaying(451), RETRIED],
    ["wants fewer at once", () => smtpSaying(421), PUT_OFF],
    ["hangs", () => rawSmtpServer(() => undefined), UNKNOWN],
    ["cuts the connection", () => rawSmtpServer((socket) => socket.destroy()), UNKNOWN],
    ["answers garbage", () => rawSmtpServer((socket) => socket.write("what did you say?\r\n")), UNKNOWN],
    ["is gone", async () => ({ port: await deadPort() }), WAITING],
  ] as const)(
    "that %s balances, and reports the outcome of each touch",
    async (behaviour, open, { counted, touch }) => {
      await addDue(5, "email");
      const { port } = await open();
      const { success, results } = await runThrough(smtpAt(port, limitsFor(behaviour)));
      expect(success).toBe(touch.attempts > 0);
      expect(results).toMatchObject({ claimed: 5, delivery: { [counted]: 5 } });
      expect(await touches()).toEqual([{ ...touch, count: 5 }]);
    },
  );
});

describe("a run through a webhook", () => {
  it.each<[string, Answer, typeof SENT]>([
    ["takes all", answering(202), SENT],
    ["refuses", answering(400), FAILED],
    ["wants no more", answering(410), WAITING],
    ["is busy", answering(408), RETRIED],
    ["answers 500", answering(500), WAITING],
    ["answers 429", answering(429, "", { "retry-after": "0" }), PUT_OFF],
    ["hangs", SILENCES.hangs, WAITING],
    ["answers late", late, WAITING],
    ["cuts the connection", SILENCES.cuts, WAITING],
    ["answers garbage", SILENCES.garbage, WAITING],
  ])("that %s balances, and reports the outcome of each touch", async (behaviour, answer, { counted, touch }) => {
    await addDue(5, "webhook");
    const { port } = await httpServer(answer);
    const { success, results } = await runThrough(webhookAt(port, limitsFor(behaviour)));
    expect(success).toBe(touch.attempts > 0);
    expect(results).toMatchObject({ claimed: 5, delivery: { [counted]: 5 } });
    expect(await touches()).toEqual([{ ...touch, count: 5 }]);
  });

  long.it(
    "that does something else each time loses nothing: each touch is settled, and the report balances",
    async () => {
      await addDue(40, "webhook");
      const answers: readonly Answer[] = [
        answering(202),
        answering(500),
        answering(410),
        answering(429, "", { "retry-after": "0" }),
        ...Object.values(SILENCES),
        late,
      ];
      const server = await httpServer((response) => answers[server.requests.length % answers.length]?.(response));
      const { errors, results } = await runThrough(webhookAt(server.port, HASTY));
      expect(errors).toEqual([]);
      const { sent = 0, failed = 0, retrying = 0 } = results?.delivery ?? {};
      expect({ all: sent + failed + retrying, unknown: results?.delivery?.unknown }).toEqual({ all: 40, unknown: 0 });
      expect(sent).toBeGreaterThan(0);
      const settled: readonly { status: string; count: number }[] = await touches();
      expect(settled.reduce((total, { count }) => total + count, 0)).toBe(40);
      expect(settled.map(({ status }) => status)).not.toContain("sending");
    },
  );
});

describe("a provider that throttles", () => {
  it("gets fewer concurrent sends, and as many as before once it stops throttling", async () => {
    const sendsAtOnce = 8;
    const mostAtOnceOf = async (answer: Answer): Promise<readonly number[]> => {
      await deleteAll(sql);
      await addDue(60, "webhook");
      const atOnce: number[] = [];
      const waiting = new Set<ServerResponse>();
      const { port } = await httpServer((response) => {
        waiting.add(response);
        atOnce.push(waiting.size);
        // Answer all requests of one wave together, after the last has arrived.
        setImmediate(() =>
          setImmediate(() => {
            waiting.delete(response);
            answer(response);
          }),
        );
      });
      await runThrough(webhookAt(port), 0, { sendsAtOnce });
      return atOnce;
    };
    const throttled = await mostAtOnceOf(answering(429, "", { "retry-after": "0" }));
    expect(throttled).toHaveLength(60);
    expect(throttled.slice(-30)).toEqual(Array.from({ length: 30 }, () => 1));
    const free = await mostAtOnceOf(answering(202));
    expect(Math.max(...free.slice(-30))).toBeGreaterThan(1);
  });

  it("does not use up a touch's six failures, and later accepts each touch once", async () => {
    await addDue(5, "webhook");
    const { port } = await httpServer(answering(429, "", { "retry-after": "0" }));
    for (let hours = 0; hours < 10; hours++) {
      expect(await runThrough(webhookAt(port), hours)).toMatchObject({ success: true });
    }
    expect(await touches()).toEqual([{ status: "claimed", failures: 0, attempts: 10, count: 5 }]);
    const taking = await httpServer(answering(202));
    await runThrough(webhookAt(taking.port), 10);
    expect(await touches()).toEqual([{ status: "sent", failures: 0, attempts: 11, count: 5 }]);
    expect(new Set(taking.requests.map(({ headers }) => headers["webhook-id"])).size).toBe(5);
    expect(taking.requests).toHaveLength(5);
  });

  it("differs from a busy provider, on which a touch fails after six attempts", async () => {
    await addDue(5, "webhook");
    const { port, requests } = await httpServer(answering(408));
    for (let hours = 0; hours < 20; hours += 2) await runThrough(webhookAt(port), hours);
    expect(await touches()).toEqual([expect.objectContaining({ status: "failed", attempts: 6, count: 5 })]);
    expect(requests).toHaveLength(30);
  });
});
