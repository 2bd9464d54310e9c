import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { unsubscribeKeysOf } from "../lib/platform/unsubscribe-keys.ts";
import type { EventOutcome } from "../lib/run/apply-messages.ts";
import type { Database } from "../lib/store/connect.ts";
import { intakeBus, startLocalWebhooks } from "./local-webhooks.ts";

/** The unsubscribe page of the demo. */
export interface DemoPage {
  /** The environment variables with which the function links mails to the page. */
  readonly environment: Readonly<Record<"UNSUBSCRIBE_BASE_URL" | "UNSUBSCRIBE_KEY", string>>;
  /** Follows the link of the first of these files that has one, as a mail program does. Null if none has one. */
  unsubscribe(mails: readonly string[]): Promise<DemoOptOut | null>;
}

/** A mail whose receiver unsubscribed, and the outcome. */
export interface DemoOptOut {
  readonly mail: string;
  readonly outcome: EventOutcome;
}

/** Serves the unsubscribe page with the code of functions/webhooks.ts while `work` runs. */
export async function withUnsubscribePage<Result>(
  database: Pick<Database, "pool">,
  work: (page: DemoPage) => Promise<Result>,
): Promise<Result> {
  const UNSUBSCRIBE_KEY = randomBytes(32).toString("base64url");
  const outcomes: EventOutcome[] = [];
  const silent = () => undefined;
  const ports = {
    secrets: () => Promise.resolve(undefined),
    bus: intakeBus(database, (_, outcome) => outcomes.push(outcome)),
    unsubscribeKeys: unsubscribeKeysOf({ UNSUBSCRIBE_KEY }),
    now: () => new Date(),
    log: { info: silent, error: silent },
  };
  const server = await startLocalWebhooks(ports, 0);
  const unsubscribe: DemoPage["unsubscribe"] = async (mails) => {
    for (const mail of mails) {
      const link = linkIn(await readFile(mail, "utf8"), server.url);
      if (link === undefined) continue;
      await fetch(link, { method: "POST", body: new URLSearchParams({ "List-Unsubscribe": "One-Click" }) });
      const [outcome] = outcomes;
      return outcome ? { mail, outcome } : null;
    }
    return null;
  };
  try {
    return await work({ environment: { UNSUBSCRIBE_BASE_URL: server.url, UNSUBSCRIBE_KEY }, unsubscribe });
  } finally {
    await server.close();
  }
}

/** The link in the header of a mail, if it leads to this page. */
const linkIn = (mail: string, page: string): string | undefined =>
  [...mail.matchAll(/^List-Unsubscribe:\s*<([^>]*)>/gm)]
    .map(([, link = ""]) => link)
    .find((link) => link.startsWith(page));
