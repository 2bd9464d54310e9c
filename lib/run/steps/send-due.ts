import { setTimeout } from "node:timers/promises";
import type { Channel } from "../../domain/labels.ts";
import { type Claimed, claimTurn } from "../claiming.ts";
import { type ClaimedTouches, deliver } from "../deliver.ts";
import { dispatch } from "../dispatch.ts";
import { takeUpLeftBehind } from "../leftovers.ts";
import type { DueWorkspace, WaitingWorkspace } from "../ports.ts";
import { BACKLOG_COUNTED, noDelivery, PROBLEMS_TOLD, type SendDueReport } from "../report.ts";
import { ALL_OPEN, type Open, Rounds } from "../rounds.ts";
import { type RunContext, type RunStep, sendsItself } from "../step.ts";
import { sampleOf, tally } from "../tally.ts";

const WORKSPACES_AT_MOST = 10_000;
/** Claimed before any channel has answered: nobody knows yet how fast they are. */
const FIRST_TURN = 50;
/** So long all claimers wait for the first answer: a channel that takes longer is left out until it has answered. */
const FIRST_ANSWER_MS = 100;
const UNREFERENCED = { ref: false };

/** Claims what is due in batches, no more than can be sent in the time left, decides on it, and sends it. */
export const sendDue: RunStep = {
  name: "send-due",
  sends: true,
  async run(context, reports) {
    const { now, request, store, claimedUntil } = context;
    const report = emptyReport(request.dryRun);
    reports.results = report;
    const query = { now, workspaceId: request.workspaceId ?? null, limit: WORKSPACES_AT_MOST };
    const due = await store.findDueWorkspaces(query);
    const waiting = await store.findWaiting(query, claimedUntil);
    tellOldest(report, due, waiting, now);
    await new Claimers(context, new Rounds(due, request.limit ?? Number.POSITIVE_INFINITY), report).run();
    if (reports.recovered && waiting.length > 0) await takeUpLeftBehind(context, reports.recovered);
    if (due.length + waiting.length === 0) return;
    report.backlog = Math.min(BACKLOG_COUNTED, (await countDue(context)) + (await countWaiting(context)));
  },
};

const counted = ({ now, request }: RunContext) => ({
  now,
  workspaceId: request.workspaceId ?? null,
  limit: BACKLOG_COUNTED,
});
const countDue = (context: RunContext) => context.store.countDue(counted(context));
const countWaiting = (context: RunContext) => context.store.countWaiting(counted(context));

/** Several that claim side by side, each of which sends what it claimed before it claims more. */
class Claimers {
  readonly #context: RunContext;
  readonly #rounds: Rounds;
  readonly #report: SendDueReport;
  readonly #thrown: unknown[] = [];
  /** What is sent on channels that have no room: no claimer waits for those. */
  readonly #sending = new Set<Promise<void>>();

  constructor(context: RunContext, rounds: Rounds, report: SendDueReport) {
    this.#context = context;
    this.#rounds = rounds;
    this.#report = report;
  }

  /** Lets all come to their end, also when one fails: what they did has to be counted. Throws what the first threw. */
  async run(): Promise<void> {
    const { request, settings, throughput } = this.#context;
    if (sendsItself(this.#context) && !throughput.known) await this.#caught(this.#first());
    // A dry run has one connection, on which no two can work at once.
    const claimers = request.dryRun ? 1 : settings.claimers;
    await Promise.all(Array.from({ length: claimers }, () => this.#caught(this.#claim())));
    await Promise.all(this.#sending);
    if (this.#thrown.length > 0) throw this.#thrown[0];
  }

  async #caught(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (fault) {
      this.#thrown.push(fault);
      this.#context.throughput.wake();
    }
  }

  /** Alone, until the first channel has answered or is known to be slow. */
  async #first(): Promise<void> {
    const { settings } = this.#context;
    const sent = await this.#claimOnce(Math.min(FIRST_TURN, settings.batchSize));
    if (sent && sent.size > 0)
      await Promise.race([...sent.values(), setTimeout(FIRST_ANSWER_MS, undefined, UNREFERENCED)]);
  }

  async #claim(): Promise<void> {
    const { settings, stopping, throughput } = this.#context;
    while (!stopping() && this.#thrown.length === 0) {
      const sent = await this.#claimOnce(settings.batchSize);
      if (sent) {
        const open = this.#open();
        await Promise.all([...sent].flatMap(([channel, done]) => (open.has(channel) ? [done] : [])));
      } else if (this.#rounds.wait && (throughput.busy || this.#rounds.underWay)) await throughput.changed();
      else return;
    }
  }

  #open(): Open {
    return sendsItself(this.#context) ? openChannels(this.#context) : ALL_OPEN;
  }

  /** Answers when each channel has sent what was claimed; undefined where there is nothing to claim. */
  async #claimOnce(size: number): Promise<ReadonlyMap<Channel, Promise<void>> | undefined> {
    const open = this.#open();
    const room = [...open.values()].reduce((sum, ofChannel) => sum + ofChannel, 0);
    // With much more than there is room for, most would be decided on in vain.
    const turn = this.#rounds.next(Math.min(size, Math.max(FIRST_TURN, 2 * room)), open);
    if (!turn) return undefined;
    const claimed = await claimTurn(this.#context, turn);
    this.#rounds.taken(turn, claimed.seen);
    this.#context.throughput.wake();
    this.#tell(claimed);
    if (!sendsItself(this.#context)) {
      if (this.#report.delivery) await dispatch(this.#context, together(claimed), this.#report.delivery);
      return new Map();
    }
    return new Map([...claimed.toSend].map(([channel, touches]) => [channel, this.#send(channel, touches)] as const));
  }

  #tell({ done }: Claimed): void {
    const { rehearsal } = this.#context;
    for (const { decided, claimed } of done) {
      tally(this.#report, decided, claimed);
      if (rehearsal && rehearsal.sample.length < PROBLEMS_TOLD) rehearsal.sample.push(sampleOf(decided));
    }
  }

  /** Never rejects. */
  #send(channel: Channel, touches: ClaimedTouches): Promise<void> {
    const { delivery } = this.#report;
    if (!delivery) return Promise.resolve();
    const sending = this.#context.throughput.sending(channel, touches.begun.length + touches.touchIds.length);
    const done = this.#caught(deliver({ ...this.#context, groupSize: sending }, touches, delivery)).finally(() => {
      sending.end();
      this.#sending.delete(done);
    });
    this.#sending.add(done);
    return done;
  }
}

/** Those that have room, and take something at all. */
function openChannels({ throughput, health, leftMs }: RunContext): Open {
  const down = health.closedScopes().flatMap(({ channel, workspaceId }) => (workspaceId === null ? [channel] : []));
  return new Map([...throughput.open(leftMs())].filter(([channel]) => !down.includes(channel)));
}

const together = ({ toSend }: Claimed): ClaimedTouches => ({
  begun: [...toSend.values()].flatMap(({ begun }) => begun),
  touchIds: [...toSend.values()].flatMap(({ touchIds }) => touchIds),
});

/** A claimed touch counts from when it may go. */
function tellOldest(
  report: SendDueReport,
  due: readonly DueWorkspace[],
  waiting: readonly WaitingWorkspace[],
  now: Date,
): void {
  const since = new Map(due.map(({ id, oldestDue }) => [id, oldestDue.getTime()]));
  for (const { id, since: oldest } of waiting)
    since.set(id, Math.min(since.get(id) ?? now.getTime(), oldest.getTime()));
  const oldestFirst = [...since].sort(([, one], [, other]) => one - other).slice(0, PROBLEMS_TOLD);
  for (const [id, oldest] of oldestFirst) {
    report.oldestDueSecondsByWorkspace[id] = Math.max(0, (now.getTime() - oldest) / 1_000);
  }
  report.oldestDueSeconds = Math.max(0, ...Object.values(report.oldestDueSecondsByWorkspace));
}

const emptyReport = (dryRun: boolean): SendDueReport => ({
  due: 0,
  claimed: 0,
  held: 0,
  paused: 0,
  skipped: 0,
  completed: 0,
  awaitingApproval: 0,
  expired: 0,
  delivery: dryRun ? null : noDelivery(),
  reasons: {},
  holds: {},
  problems: [],
  backlog: 0,
  oldestDueSeconds: 0,
  oldestDueSecondsByWorkspace: {},
});
