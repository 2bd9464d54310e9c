import { setTimeout } from "node:timers/promises";
import type { Channel } from "../../domain/labels.ts";
import type { DueWorkspace } from "../claim-ports.ts";
import { type ClaimedTurn, claimTurn, sampleOf, tally } from "../claiming.ts";
import { deliver } from "../deliver.ts";
import type { ClaimedTouches, SendableWorkspace } from "../delivery-ports.ts";
import { ALL_OPEN, FairShare, type Open } from "../fair-share.ts";
import { type RunContext, type RunStep, sendsItself, sumOf } from "../step.ts";
import { BACKLOG_COUNTED, noDelivery, PROBLEMS_REPORTED, type SendDueReport } from "../step-reports.ts";
import { enqueue, sendLeftovers } from "./recover-touches.ts";

const WORKSPACES_AT_MOST = 10_000;
/** Size of the first claim, made before any channel's speed is known. */
const FIRST_TURN = 50;
/** How long all claimers wait for the first answer. A slower channel gets no more work until it answers. */
const FIRST_ANSWER_MS = 100;
const UNREFERENCED = { ref: false };

/** Claims due steps in batches, no more than can be sent in the time left, decides on them and sends them. */
export const sendDue: RunStep<"send-due", "results", SendDueReport> = {
  name: "send-due",
  reportKey: "results",
  sends: true,
  emptyReport: (dryRun) => ({
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
  }),
  async run(context, report, { recovered }) {
    const { now, batch, limit, store, claimedUntil } = context;
    const query = { ...batch, limit: WORKSPACES_AT_MOST };
    const due = await store.findDueWorkspaces(query);
    const waiting = await store.findSendableWorkspaces(query, claimedUntil);
    reportOldest(report, due, waiting, now);
    await new Claimers(context, new FairShare(due, limit), report).run();
    if (recovered && waiting.length > 0) await sendLeftovers(context, recovered);
    if (due.length + waiting.length === 0) return;
    const counted = { ...batch, limit: BACKLOG_COUNTED };
    report.backlog = Math.min(BACKLOG_COUNTED, (await store.countDue(counted)) + (await store.countSendable(counted)));
  },
  balance: ({ due, claimed, held, paused, skipped, completed, awaitingApproval, expired, delivery }) => {
    const accounted = claimed + held + paused + skipped + completed + awaitingApproval + expired;
    const decided = { taken: due, accounted, what: "instances were due" };
    return delivery
      ? [decided, { taken: claimed, accounted: sumOf(delivery), what: "touches were claimed" }]
      : [decided];
  },
};

/** Concurrent claimers. Each sends its claims before it claims more. */
class Claimers {
  readonly #context: RunContext;
  readonly #shares: FairShare;
  readonly #report: SendDueReport;
  readonly #thrown: unknown[] = [];
  /** Sends in progress. Claimers do not wait for channels without room. */
  readonly #sending = new Set<Promise<void>>();

  constructor(context: RunContext, shares: FairShare, report: SendDueReport) {
    this.#context = context;
    this.#shares = shares;
    this.#report = report;
  }

  /** Waits for all claimers even if one fails, so that all work is counted. Rethrows the first error. */
  async run(): Promise<void> {
    const { rehearsal, settings, throughput } = this.#context;
    if (sendsItself(this.#context) && !throughput.known) await this.#caught(this.#first());
    // A dry run has one connection, which claimers cannot share.
    const claimers = rehearsal ? 1 : settings.claimers;
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

  /** Claims once, then waits until the first channel has answered or proves slow. */
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
      } else if (this.#shares.wait && (throughput.busy || this.#shares.underWay)) await throughput.changed();
      else return;
    }
  }

  #open(): Open {
    return sendsItself(this.#context) ? openChannels(this.#context) : ALL_OPEN;
  }

  /** Returns a promise per channel, settled once its touches are sent; undefined if there is nothing to claim. */
  async #claimOnce(size: number): Promise<ReadonlyMap<Channel, Promise<void>> | undefined> {
    const open = this.#open();
    const room = [...open.values()].reduce((sum, ofChannel) => sum + ofChannel, 0);
    // A larger batch would decide on steps for which there is no room.
    const turn = this.#shares.next(Math.min(size, Math.max(FIRST_TURN, 2 * room)), open);
    if (!turn) return undefined;
    const claimed = await claimTurn(this.#context, turn);
    this.#shares.taken(turn, claimed.candidates, claimed.leftDue);
    this.#context.throughput.wake();
    this.#record(claimed);
    if (!sendsItself(this.#context)) {
      await this.#enqueue(claimed);
      return new Map();
    }
    return new Map([...claimed.toSend].map(([channel, touches]) => [channel, this.#send(channel, touches)] as const));
  }

  async #enqueue({ toSend }: ClaimedTurn): Promise<void> {
    const { delivery } = this.#report;
    if (delivery)
      await enqueue(
        this.#context,
        [...toSend.values()].flatMap(({ touchIds }) => touchIds),
        delivery,
      );
  }

  #record({ claimed }: ClaimedTurn): void {
    const { rehearsal } = this.#context;
    for (const one of claimed) {
      tally(this.#report, one);
      if (rehearsal && rehearsal.sample.length < PROBLEMS_REPORTED) rehearsal.sample.push(sampleOf(one.plan));
    }
  }

  /** Never rejects. */
  #send(channel: Channel, touches: ClaimedTouches): Promise<void> {
    const { delivery } = this.#report;
    if (!delivery) return Promise.resolve();
    const sending = this.#context.throughput.sending(channel, touches.started.length + touches.touchIds.length);
    const done = this.#caught(deliver({ ...this.#context, adaptiveBatch: sending }, touches, delivery)).finally(() => {
      sending.end();
      this.#sending.delete(done);
    });
    this.#sending.add(done);
    return done;
  }
}

/** Channels that have room and are not closed. */
function openChannels({ throughput, health, leftMs }: RunContext): Open {
  const down = health.closedScopes().flatMap(({ channel, workspaceId }) => (workspaceId === null ? [channel] : []));
  return new Map([...throughput.open(leftMs())].filter(([channel]) => !down.includes(channel)));
}

/** A claimed touch counts from when it may be sent. */
function reportOldest(
  report: SendDueReport,
  due: readonly DueWorkspace[],
  waiting: readonly SendableWorkspace[],
  now: Date,
): void {
  const since = new Map(due.map(({ id, oldestDue }) => [id, oldestDue.getTime()]));
  for (const { id, since: oldest } of waiting)
    since.set(id, Math.min(since.get(id) ?? now.getTime(), oldest.getTime()));
  const oldestFirst = [...since].sort(([, one], [, other]) => one - other).slice(0, PROBLEMS_REPORTED);
  for (const [id, oldest] of oldestFirst) {
    report.oldestDueSecondsByWorkspace[id] = Math.max(0, (now.getTime() - oldest) / 1_000);
  }
  report.oldestDueSeconds = Math.max(0, ...Object.values(report.oldestDueSecondsByWorkspace));
}
