import * as z from "zod";
import { CHANNELS } from "../domain/labels.ts";
import { capDayOf } from "../domain/send-times.ts";
import { daysAfter } from "../domain/time-zone.ts";
import { type LiveRow, readLivePage, readLiveWorkspaces } from "../store/live-instances.ts";
import type { Queryable } from "../store/sql.ts";
import { activeSequences, adviceAnswer, adviceOn } from "./advice.ts";
import { type Foreseen, futureOf } from "./future.ts";
import { isoInstant, question } from "./operation.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

const PAGE = 5_000;

const perChannel = z.partialRecord(z.enum(CHANNELS), z.int());

const workspaceForecast = z.object({
  workspaceId: z.guid(),
  workspace: z.string(),
  liveInstances: z.int(),
  /** Touches by local day of the workspace and channel, such as `2027-03-01`. */
  days: z.array(z.object({ day: z.string(), touches: perChannel })),
  /** Touches by hour, UTC, such as `2027-03-01T09`. */
  hours: z.array(z.object({ hour: z.string(), touches: z.int() })),
  /** Steps that are held, paused, skipped, expired or completed, by reason. */
  outcomes: z.array(z.object({ kind: z.string(), reason: z.string(), steps: z.int() })),
  /** Texts that will wait for approval, and those that expire without an approval. */
  approvals: z.object({ waiting: z.int(), expiring: z.int() }),
  /** Local days on which the daily cap holds steps. */
  cappedDays: z.array(z.string()),
  /** What the authors of its active sequences may not expect. */
  advice: adviceAnswer,
});

/** `forecast`: what goes out in the next days if no lead replies or books, no text is approved, and nothing changes. */
export const forecast = question({
  name: "forecast",
  summary: "Shows what goes out in the next days if no lead replies and nothing changes.",
  input: z.strictObject({ days: z.int().min(1).max(60).default(14), workspace: workspaceName.optional() }),
  answer: z.object({ from: isoInstant, until: isoInstant, workspaces: z.array(workspaceForecast) }),
  async run(db, { days, workspace }, now) {
    const until = daysAfter(now, days);
    const only = await workspaceIdOf(db, workspace);
    const workspaces = [];
    // One at a time, so that memory holds one workspace.
    for (const { id, name, timeZone } of await readLiveWorkspaces(db, only)) {
      const live = await readAll(db, id, now);
      const counts = new Counts(timeZone);
      for (const foreseen of futureOf(live.map(followedOf), now, until)) counts.add(foreseen);
      const advice = await adviceOn(db, id, await activeSequences(db, id), now);
      workspaces.push({ workspaceId: id, workspace: name, liveInstances: live.length, ...counts.answer, advice });
    }
    return { from: now, until, workspaces };
  },
});

async function readAll(db: Queryable, workspaceId: string, now: Date): Promise<readonly LiveRow[]> {
  const all: LiveRow[] = [];
  let after: string | null = null;
  for (;;) {
    const page: LiveRow[] = await readLivePage(db, { workspaceId, after, limit: PAGE }, now);
    all.push(...page);
    after = page.at(-1)?.candidate.instanceId ?? null;
    if (page.length < PAGE) return all;
  }
}

const followedOf = ({ candidate, instanceStatus, pausedReason, holdReason, approvalExpiresAt }: LiveRow) => ({
  candidate,
  status: instanceStatus,
  pausedReason,
  holdReason,
  approvalExpiresAt,
});

type Touches = Partial<Record<(typeof CHANNELS)[number], number>>;

/** What happens, counted. */
class Counts {
  readonly #days = new Map<string, Touches>();
  readonly #hours = new Map<string, number>();
  readonly #outcomes = new Map<string, { readonly kind: string; readonly reason: string; readonly steps: number }>();
  readonly #cappedDays = new Set<string>();
  readonly #approvals = { waiting: 0, expiring: 0 };
  readonly #timeZone: string;

  constructor(timeZone: string) {
    this.#timeZone = timeZone;
  }

  add(foreseen: Foreseen): void {
    if (foreseen.kind === "touch") this.#addTouch(foreseen);
    else if (foreseen.kind === "approval") this.#approvals.waiting += 1;
    else if (foreseen.kind === "approval_expired") this.#approvals.expiring += 1;
    else this.#addOutcome(foreseen);
  }

  #addTouch({ at, channel }: Foreseen): void {
    if (!channel) return;
    const day = capDayOf(this.#timeZone, at);
    const touches = this.#days.get(day) ?? {};
    this.#days.set(day, { ...touches, [channel]: (touches[channel] ?? 0) + 1 });
    const hour = at.toISOString().slice(0, 13);
    this.#hours.set(hour, (this.#hours.get(hour) ?? 0) + 1);
  }

  #addOutcome({ kind, at, reason }: Foreseen): void {
    const key = `${kind} ${reason}`;
    this.#outcomes.set(key, { kind, reason, steps: (this.#outcomes.get(key)?.steps ?? 0) + 1 });
    if (reason === "daily_cap_reached") this.#cappedDays.add(capDayOf(this.#timeZone, at));
  }

  get answer() {
    return {
      days: [...this.#days].map(([day, touches]) => ({ day, touches })),
      hours: [...this.#hours].map(([hour, touches]) => ({ hour, touches })),
      outcomes: [...this.#outcomes.values()].toSorted((one, other) => other.steps - one.steps),
      approvals: this.#approvals,
      cappedDays: [...this.#cappedDays],
    };
  }
}
