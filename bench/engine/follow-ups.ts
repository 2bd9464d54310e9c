import { tmpdir } from "node:os";
import { perChannel } from "../../lib/domain/labels.ts";
import { loadConfig, runSettings } from "../../lib/platform/config.ts";
import { wire } from "../../lib/platform/wire.ts";
import type { MessageChannel } from "../../lib/run/channel-ports.ts";
import type { Log, RunPorts } from "../../lib/run/ports.ts";
import type { Report } from "../../lib/run/report.ts";
import { runFollowUps } from "../../lib/run/run.ts";
import type { RunSettings } from "../../lib/run/step.ts";

/** The engine wired as in an invocation, but with channels that accept everything immediately. */
export interface Engine {
  readonly ports: RunPorts;
  /** Default settings. */
  readonly settings: RunSettings;
  run(event?: unknown, remainingMs?: () => number): Promise<Report>;
  close(): Promise<void>;
}

const silent: Log = { info: () => undefined, error: () => undefined };
export const PROVIDER_ID = "no-op";
const noOp: MessageChannel = { send: () => Promise.resolve({ kind: "accepted", providerId: PROVIDER_ID }) };

const HOUR_MS = 60 * 60_000;

/** The outbox stays empty, because the channels are replaced. */
const configFor = (databaseUrl: string) =>
  loadConfig({ DATABASE_URL: databaseUrl, EMAIL_TRANSPORT: "files", OUTBOX_DIRECTORY: tmpdir() });

export const shippedSettings = (databaseUrl: string): RunSettings => runSettings(configFor(databaseUrl));

export function openEngine(databaseUrl: string): Engine {
  const config = configFor(databaseUrl);
  const wired = wire(config, silent);
  const ports = { ...wired, channels: perChannel(() => noOp) };
  const settings = runSettings(config);
  return {
    ports,
    settings,
    run: (event = {}, remainingMs = () => HOUR_MS) =>
      runFollowUps(event, { requestId: "bench", remainingMs }, ports, settings),
    close: () => wired.database.close(),
  };
}

/** One run. Throws unless it sent one touch for each of `due` instances. */
export async function runOver(engine: Engine, due: number): Promise<void> {
  const report = await engine.run();
  const { results } = report;
  if (report.success && results?.due === due && results.delivery?.sent === due && results.backlog === 0) return;
  throw new Error(`expected ${due} due instances, all sent: ${JSON.stringify(report)}`);
}
