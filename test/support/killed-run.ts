import pg from "pg";
import { perChannel } from "../../lib/domain/labels.ts";
import { loadConfig, runSettings } from "../../lib/platform/config.ts";
import { wire } from "../../lib/platform/wire.ts";
import type { DigestSender, MessageChannel } from "../../lib/run/channel-ports.ts";
import { runFollowUps } from "../../lib/run/run.ts";

/**
 * A run in its own process that kills itself at the n-th point. There is a point before and after each commit, each
 * write outside a transaction, and each provider call. With 0 it completes and prints the number of points.
 */
const [killAt = "0", now = ""] = process.argv.slice(2);

let passed = 0;
function point(): void {
  passed += 1;
  if (passed === Number(killAt)) process.kill(process.pid, "SIGKILL");
}

const inTransaction = new WeakSet<object>();

/** Whether the statement commits a change. */
function commits(client: object, text: string): boolean {
  const statement = text.trim().toLowerCase();
  if (statement === "begin") inTransaction.add(client);
  if (statement === "commit" || statement === "rollback") inTransaction.delete(client);
  return (
    statement === "commit" || (!inTransaction.has(client) && /\b(insert into|update|delete from)\b/.test(statement))
  );
}

type Query = (this: object, ...given: unknown[]) => unknown;
const query = pg.Client.prototype.query as unknown as Query;
const watchedQuery: Query = function (...given) {
  const [first] = given;
  const text = typeof first === "string" ? first : String((first as { text?: unknown } | null)?.text ?? "");
  if (!commits(this, text)) return query.apply(this, given);
  point();
  const last = given.at(-1);
  if (typeof last === "function") {
    const callback = (...answer: unknown[]) => {
      point();
      last(...answer);
    };
    return query.apply(this, [...given.slice(0, -1), callback]);
  }
  return Promise.resolve(query.apply(this, given)).then((answer) => {
    point();
    return answer;
  });
};
pg.Client.prototype.query = watchedQuery as unknown as typeof pg.Client.prototype.query;

async function watched<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  point();
  const answer = await call();
  point();
  return answer;
}

const watch = (channel: MessageChannel): MessageChannel => ({ send: (touch) => watched(() => channel.send(touch)) });
const watchDigests = (sender: DigestSender): DigestSender => ({
  send: (digest, to) => watched(() => sender.send(digest, to)),
});

const config = loadConfig(process.env);
const { database, ...ports } = wire(config, { info: () => undefined, error: () => undefined });
const digests = { email: watchDigests(ports.digests.email), webhook: watchDigests(ports.digests.webhook) };
const channels = perChannel((channel) => watch(ports.channels[channel]));
const invocation = { requestId: "killed", remainingMs: () => 60_000 };
const report = await runFollowUps(
  {},
  invocation,
  { ...ports, channels, digests, now: () => Promise.resolve(new Date(now)) },
  runSettings(config),
);
await database.close();
process.stdout.write(JSON.stringify({ points: passed, success: report.success, errors: report.errors }));
process.exit(0);
