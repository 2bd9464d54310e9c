import { type Check, type CheckResult, inOrder } from "../../lib/operate/checks.ts";
import { Problem } from "../problem.ts";
import type { ConnectableTool, Subscription } from "./booking-tool.ts";
import { type Connection, callbackUrl, connectedSecret, isAtEndpoint } from "./connection.ts";
import { signedHeaders } from "./signed-headers.ts";
import { apiOf, isComplete } from "./subscribe.ts";

/** The checks of a connection, in their order. `tool` is undefined for posted facts. */
export async function checkConnection(
  connection: Connection,
  tool: ConnectableTool | undefined,
): Promise<readonly CheckResult[]> {
  const checks = tool ? subscriptionChecks(connection, tool) : [];
  const all = [secretCheck(connection), ...checks, deliveryCheck(connection, tool?.probe ?? [])];
  return await inOrder(all, [], (thrown) => (thrown instanceof Problem ? thrown.message : undefined));
}

const secretCheck = (connection: Connection): Check => ({
  name: "secret",
  async run() {
    const { signingKeys, bearerTokens } = await connectedSecret(connection);
    const former = signingKeys.length > 1 || bearerTokens.length > 1;
    return { found: `${connection.store.name}${former ? "; former keys are valid, too: --drop-former ends it" : ""}` };
  },
});

function subscriptionChecks(connection: Connection, tool: ConnectableTool): readonly Check[] {
  const again = `run: npm run backstop -- connect ${connection.tool} --stage ${connection.stage} --workspace ${connection.workspace.id}`;
  let subscription: Subscription | undefined;
  return [
    {
      name: "subscription",
      needs: ["secret"],
      async run() {
        const secret = await connectedSecret(connection);
        const { apiToken, account = "", signingKeys } = secret;
        if (apiToken === undefined) return { found: "the secret has no API token", remedy: again };
        const listed = await apiOf(tool, apiToken, secret).list(account);
        const url = callbackUrl(connection.endpoint, signingKeys[0] ?? "");
        subscription = listed.find((one) => one.url === url && one.account === account);
        if (subscription) return { found: `${subscription.id}, of ${account}` };
        const others = listed.filter((one) => isAtEndpoint(one.url, connection.endpoint));
        const found = others.length > 0 ? `none with the current key, ${others.length} others` : `none to ${url}`;
        return { found, remedy: again };
      },
    },
    {
      name: "active",
      needs: ["subscription"],
      async run() {
        if (subscription?.isActive) return { found: "yes" };
        const found = `${tool.name} has disabled it`;
        return { found, remedy: `find out why deliveries failed (docs/connect.md), then ${again}` };
      },
    },
    {
      name: "events",
      needs: ["subscription"],
      async run() {
        const missing = tool.events.filter((event) => !subscription?.events.includes(event));
        if (subscription && isComplete({ ...subscription, isActive: true }, tool.events)) return { found: "all" };
        return { found: `lacks ${missing.join(", ")}`, remedy: again };
      },
    },
  ];
}

/** Longer than a cold start of the function. */
const ANSWER_MS = 20_000;

/** Sends a signed request without a fact: whether the tool's webhooks would arrive and be accepted. */
const deliveryCheck = (connection: Connection, probe: object): Check => ({
  name: "delivery",
  needs: ["secret"],
  async run() {
    const secret = await connectedSecret(connection);
    const body = JSON.stringify(probe);
    const headers = { "content-type": "application/json", ...signedHeaders(connection.tool, secret, body) };
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(connection.endpoint, {
      method: "POST",
      headers,
      body,
      redirect: "error",
      signal,
    }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return { found: `${connection.endpoint} accepts the key` };
    if (!response) return { found: `no answer from ${connection.endpoint}`, remedy: NO_ANSWER };
    const remedy = REMEDIES.get(response.status) ?? LATER;
    return { found: `${connection.endpoint} answers ${response.status}`, remedy };
  },
});

const NO_ANSWER = "create the DNS record of the stack's output WebhooksDnsRecord, and check the certificate";
const LATER = "run --check again in a minute; if it persists, see the log of the webhooks function";

const REMEDIES: ReadonlyMap<number, string> = new Map([
  [401, "the stage has another key, and reads the secret again within half a minute: run --check again"],
  [404, "the stage does not know the secret yet: run --check again in a minute; then deploy the stage again"],
  [429, "the stage limits requests (webhooks.requestsPerSecond): run --check again"],
]);
