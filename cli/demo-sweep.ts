import { randomUUID } from "node:crypto";
import { SWEEP_DEFAULTS } from "../lib/booking/eligibility.ts";
import { RECONCILE_LIMITS, type ReconcileReport, Reconciler } from "../lib/booking/reconcile.ts";
import { DAY_MS, MINUTE_MS } from "../lib/domain/time-zone.ts";
import { givenConnectionSecrets } from "../lib/platform/connection-secrets.ts";
import { connectionsWith, puttingOn } from "../lib/platform/wire-reconcile.ts";
import type { EventOutcome } from "../lib/run/apply-messages.ts";
import type { Database } from "../lib/store/connect.ts";
import { serveCalendly } from "./demo-calendly.ts";
import { leadToBook } from "./demo-facts.ts";
import { intakeBus } from "./local-webhooks.ts";
import { closeAtOnce } from "./loopback.ts";

/** A booking whose webhook was lost, and the sweep that found it. */
export interface DemoSweep {
  readonly leadId: string;
  readonly report: ReconcileReport;
  readonly outcome: EventOutcome;
}

const TIME_LIMIT_MS = 50_000;
const silent = () => undefined;

/**
 * Books one lead in an active sequence in a local stand-in of Calendly that sends no webhook, and sweeps it with the code
 * of functions/reconcile.ts. Null if there is no such lead.
 */
export async function sweepDemo(database: Pick<Database, "pool">): Promise<DemoSweep | null> {
  const lead = await leadToBook(database);
  if (!lead) return null;
  const { workspaceId, leadId, email } = lead;
  const token = randomUUID();
  const meetings = [meetingOf(email)];
  const page = { freeTimes: [], meetingMinutes: 30, bookingUrl: "https://calendly.com/demo" };
  const { url, server } = await serveCalendly(() => ({ token, meetings, ...page }));
  let outcome: EventOutcome = { outcome: "ignored", reason: "no_fact" };
  const bus = intakeBus(database, (type, applied) => {
    if (type === "meeting.booked") outcome = applied;
  });
  const secret = { apiToken: token, apiUrl: url, account: "https://api.calendly.com/organizations/DEMO" };
  const reconciler = new Reconciler(
    {
      connections: () => Promise.resolve([{ workspaceId, tool: "calendly" }]),
      open: connectionsWith(givenConnectionSecrets({ [`${workspaceId}/calendly`]: secret })),
      put: puttingOn(bus, { error: silent }),
      now: () => new Date(),
      log: { error: silent },
    },
    { ...SWEEP_DEFAULTS, ...RECONCILE_LIMITS },
  );
  try {
    const report = await reconciler.run(() => TIME_LIMIT_MS);
    return { leadId, report, outcome };
  } finally {
    await closeAtOnce(server);
  }
}

/** A meeting in eight days, booked ten minutes ago. */
function meetingOf(email: string) {
  const after = (ms: number) => new Date(Date.now() + ms).toISOString();
  return {
    event: randomUUID(),
    invitee: randomUUID(),
    email,
    startsAt: after(8 * DAY_MS),
    endsAt: after(8 * DAY_MS + 30 * MINUTE_MS),
    bookedAt: after(-10 * MINUTE_MS),
  };
}
