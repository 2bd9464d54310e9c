import {
  ListSecretsCommand,
  type ListSecretsCommandOutput,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import { SWEEP_DEFAULTS } from "../booking/eligibility.ts";
import { type ConnectionName, RECONCILE_LIMITS, type ReconcilePorts, Reconciler } from "../booking/reconcile.ts";
import { bookingTool } from "../booking/tools.ts";
import { BOOKING_TOOLS } from "../domain/labels.ts";
import type { Log } from "../run/ports.ts";
import {
  type ConnectedTool,
  type ConnectionSecrets,
  InvalidConnectionSecret,
  storedConnectionSecrets,
} from "./connection-secrets.ts";
import { eventBridgeBus, type FactBus } from "./fact-bus.ts";
import type { ReconcileConfig } from "./reconcile-config.ts";
import { SDK_OPTIONS, Unavailable } from "./unavailable.ts";

/** Wires the reconciliation. Calls no service before the first run. */
export const wireReconcile = (config: ReconcileConfig, log: Log): Reconciler =>
  new Reconciler(
    {
      connections: storedConnections(config.CONNECTION_SECRETS_PREFIX),
      open: connectionsWith(storedConnectionSecrets(config.CONNECTION_SECRETS_PREFIX)),
      put: puttingOn(eventBridgeBus(config.EVENT_BUS_NAME, "backstop.reconcile"), log),
      now: () => new Date(),
      log,
    },
    {
      ...RECONCILE_LIMITS,
      hotDays: config.RECONCILE_HOT_DAYS,
      hotMinutes: config.RECONCILE_HOT_MINUTES,
      warmDays: SWEEP_DEFAULTS.warmDays,
      warmMinutes: config.RECONCILE_WARM_MINUTES,
    },
  );

/** Half a turn, so that a tool that hangs is known as such. */
const CALL_LIMITS = { timeoutMs: RECONCILE_LIMITS.turnMs / 2, mostBytes: 8 * 1024 * 1024 };

/** Opens the API of a connection with the token of its secret. */
export const connectionsWith =
  (secrets: ConnectionSecrets<ConnectedTool>): ReconcilePorts["open"] =>
  async ({ workspaceId, tool }) => {
    try {
      const secret = await secrets(workspaceId, tool);
      if (secret?.apiToken === undefined) return undefined;
      const { apiToken, account, eventType, apiUrl, ownAddresses } = secret;
      return { tool: bookingTool(tool, { apiToken, account, eventType, apiUrl }, CALL_LIMITS), ownAddresses };
    } catch (thrown) {
      const fault = thrown instanceof InvalidConnectionSecret ? "invalid_secret" : "secret_unavailable";
      return { fault, reason: reasonOf(thrown) };
    }
  };

const reasonOf = (thrown: unknown): string => (thrown instanceof Unavailable ? thrown.message : String(thrown));

/** Logs why the bus did not accept facts. */
export const puttingOn =
  (bus: FactBus, log: Pick<Log, "error">): ReconcilePorts["put"] =>
  async (facts) => {
    try {
      await bus.put(facts);
      return true;
    } catch (thrown) {
      log.error("reconcile.bus_unavailable", { facts: facts.length, reason: reasonOf(thrown) });
      return false;
    }
  };

const ANSWER_TIMEOUT_MS = 5_000;
/** The most of a page, according to the API reference of ListSecrets. */
const PAGE = 100;
/** Far more than an account may have secrets of one stage. */
const MOST_PAGES = 100;

const TOOL = BOOKING_TOOLS.join("|");
const CONNECTION = new RegExp(`^(?<workspaceId>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?<tool>${TOOL})$`);

/**
 * The connections with booking tools whose secrets are named below `prefix`. Reads no secret. Rejects with the error of
 * the AWS SDK.
 */
function storedConnections(prefix: string): () => Promise<readonly ConnectionName[]> {
  const client = new SecretsManagerClient(SDK_OPTIONS);
  return async () => {
    const names: string[] = [];
    let NextToken: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const abortSignal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      const Filters = [{ Key: "name" as const, Values: [`${prefix}/`] }];
      const answer: ListSecretsCommandOutput = await client.send(
        new ListSecretsCommand({ Filters, MaxResults: PAGE, NextToken }),
        { abortSignal },
      );
      names.push(...(answer.SecretList ?? []).flatMap(({ Name }) => Name ?? []));
      NextToken = answer.NextToken;
      if (NextToken === undefined) return connectionsIn(names, prefix);
    }
    throw new Error("the list of secrets has no end");
  };
}

/** The connections among names of secrets. The filter of the API also finds other stages, and secrets for other uses. */
const connectionsIn = (names: readonly string[], prefix: string): readonly ConnectionName[] =>
  names.flatMap((name) => {
    const groups = name.startsWith(`${prefix}/`) ? CONNECTION.exec(name.slice(prefix.length + 1))?.groups : undefined;
    const tool = BOOKING_TOOLS.find((known) => known === groups?.["tool"]);
    return tool && groups ? [{ workspaceId: groups["workspaceId"] ?? "", tool }] : [];
  });
