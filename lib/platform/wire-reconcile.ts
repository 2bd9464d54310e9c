import { SWEEP_DEFAULTS } from "../booking/eligibility.ts";
import { RECONCILE_LIMITS, type ReconcilePorts, Reconciler } from "../booking/reconcile.ts";
import { bookingTool } from "../booking/tools.ts";
import type { Log } from "../run/ports.ts";
import { storedConnections } from "./connection-list.ts";
import {
  type ConnectedTool,
  type ConnectionSecrets,
  InvalidConnectionSecret,
  storedConnectionSecrets,
} from "./connection-secrets.ts";
import { eventBridgeBus, type FactBus } from "./fact-bus.ts";
import type { ReconcileConfig } from "./reconcile-config.ts";
import { Unavailable } from "./unavailable.ts";

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
