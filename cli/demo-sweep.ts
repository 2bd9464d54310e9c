import { randomUUID } from "node:crypto";
import { SWEEP_DEFAULTS } from "../lib/booking/eligibility.ts";
import { RECONCILE_LIMITS, type ReconcileReport, Reconciler } from "../lib/booking/reconcile.ts";
import { loadHolidays } from "../lib/domain/holidays.ts";
import { offerOf } from "../lib/domain/offered-slots.ts";
import { meetingPlace } from "../lib/domain/rule-context.ts";
import { DAY_MS, MINUTE_MS } from "../lib/domain/time-zone.ts";
import { showWorkspace } from "../lib/operate/workspaces.ts";
import { givenConnectionSecrets } from "../lib/platform/connection-secrets.ts";
import { connectionsWith, puttingOn } from "../lib/platform/wire-reconcile.ts";
import type { EventOutcome } from "../lib/run/apply-messages.ts";
import { readAvailability } from "../lib/store/availability.ts";
import type { Database } from "../lib/store/connect.ts";
import { onPool } from "../lib/store/sql.ts";
import { serveCalendly } from "./demo-calendly.ts";
import { leadToBook } from "./demo-facts.ts";
import { intakeBus } from "./local-webhooks.ts";
import { closeAtOnce } from "./loopback.ts";
import { operatorOn } from "./operator.ts";

/** A booking whose webhook was lost, and the sweep that found it. */
export interface DemoSweep {
  readonly leadId: string;
  readonly report: ReconcileReport;
  readonly outcome: EventOutcome;
  /** The text of `{{ slots }}` for a lead in the zone of the workspace. Null without a free time. */
  readonly offer: string | null;
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
  const page = { freeTimes: nextHours(), meetingMinutes: 30, bookingUrl: "https://calendly.com/demo" };
  const { url, server } = await serveCalendly(() => ({ token, meetings, ...page }));
  let outcome: EventOutcome = { outcome: "ignored", reason: "no_fact" };
  const bus = intakeBus(database, (type, applied) => {
    if (type === "meeting.booked") outcome = applied;
  });
  const api = "https://api.calendly.com";
  const account = { account: `${api}/organizations/DEMO`, eventType: `${api}/event_types/DEMO` };
  const secret = { apiToken: token, apiUrl: url, ...account };
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
    return { leadId, report, outcome, offer: await offerTo(database, workspaceId) };
  } finally {
    await closeAtOnce(server);
  }
}

/** The times that the sweep reported, as a text offers them. */
async function offerTo({ pool }: Pick<Database, "pool">, workspaceId: string): Promise<string | null> {
  const now = new Date();
  const availability = (await readAvailability(onPool(pool), [workspaceId], now)).get(workspaceId);
  if (!availability) return null;
  const { holidays, ...workspace } = await operatorOn(pool).ask(showWorkspace, { workspace: workspaceId });
  await loadHolidays();
  const { own: ownDates, working: workingDates, ...country } = holidays;
  const place = meetingPlace({ timeZone: null }, { ...workspace, holidays: { ...country, ownDates, workingDates } });
  const offer = offerOf({ availability, offered: [] }, place, now);
  return typeof offer === "string" ? null : offer.text;
}

/** Every full hour of the next week. */
function nextHours(): readonly string[] {
  const hour = 60 * MINUTE_MS;
  const next = Math.ceil(Date.now() / hour) * hour;
  return Array.from({ length: 7 * 24 }, (_, place) => new Date(next + place * hour).toISOString());
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
