import * as z from "zod";
import { HOW_TO_GET_LINKS } from "../domain/advice.ts";
import { isSilent, isWorthReporting, sweepAgeText, sweepText } from "../domain/sweeps.ts";
import { DAY_MS } from "../domain/time-zone.ts";
import { activeSequencesWithLink, workspacesThatOffer } from "../store/advice-facts.ts";
import { readSweeps } from "../store/connection-sweeps.ts";
import { POOL_SIZE } from "../store/pool.ts";
import { hasWriter, readConnections, unsafeSettingsOfWriters } from "../store/role-settings.ts";
import { haveUnsubscribeLinks, readRuns } from "../store/run-history.ts";
import { missingSchema } from "../store/schema-gate.ts";
import type { Transactional } from "../store/sql.ts";
import { readLeadSenders, readSenders } from "../store/workspaces.ts";
import { type Check, checkResult, inOrder } from "./checks.ts";
import { question } from "./operation.ts";
import { secondsBetweenRuns } from "./runs.ts";

/** The checks of the database, in their order. */
export const DATABASE_CHECKS = [
  "database",
  "connections",
  "migrations",
  "settings",
  "last run",
  "promise",
  "workspaces",
  "unsubscribe",
  "booking tools",
  "free times",
] as const;

/** `doctor`: what the database can say about its stage. The client adds what only AWS can say. */
export const doctor = question({
  name: "doctor",
  summary: "Checks what a stage needs, and names a remedy for what is missing.",
  input: z.strictObject({}),
  answer: z.object({
    checks: z.array(checkResult),
    /** The sender addresses of the workspaces, and the most frequent ones of leads; empty if they cannot be read. */
    senders: z.array(z.string()),
  }),
  async run(db, _, now) {
    const senders: string[] = [];
    const ofSchema = [connections(db), migrations(db), settings(db)];
    const ofRows = [workspaces(db, senders), unsubscribe(db), bookingTools(db, now), freeTimes(db, now)];
    const checks = [...ofSchema, ...runs(db, now), ...ofRows];
    const database = { name: "database", state: "passed", found: "it answers", remedy: null } as const;
    return { checks: [...(await inOrder(checks, [database]))], senders };
  },
});

const MOST_NAMED = 3;

/** The first few, and how many more there are. */
const firstOf = (texts: readonly string[], separator = ", "): string =>
  texts.slice(0, MOST_NAMED).join(separator) +
  (texts.length > MOST_NAMED ? ` and ${texts.length - MOST_NAMED} more` : "");

const migrations = (db: Transactional): Check => ({
  name: "migrations",
  needs: ["database"],
  async run() {
    const missing = await missingSchema(db);
    if (missing.length === 0) return { found: "all are applied" };
    return {
      found: `the database lacks ${firstOf(missing)}`,
      remedy: "deploy with `migrate`, or run: npm run backstop -- migrate",
    };
  },
});

/** Those of the roles that write, whose sessions a question cannot see. */
const settings = (db: Transactional): Check => ({
  name: "settings",
  needs: ["migrations"],
  async run() {
    if (!(await hasWriter(db))) {
      return {
        found: "no role may write",
        remedy: "create the users that docs/deploy.md#the-usual-way-beside-what-is-there lists",
      };
    }
    const unsafe = await unsafeSettingsOfWriters(db);
    if (unsafe.length === 0) return { found: "safe" };
    return { found: `${unsafe.length} unsafe`, remedy: `${unsafe.join("; ")}. New connections use them` };
  },
});

/** A synth checks that the workers of a stage fit; this checks what others leave of them. */
const connections = (db: Transactional): Check => ({
  name: "connections",
  needs: ["database"],
  async run() {
    const { most, used } = await readConnections(db);
    if (most - used >= POOL_SIZE) return { found: `the server has ${most}, with ${POOL_SIZE} or more free for a run` };
    const found = `${used} of ${most} are used; a run needs ${POOL_SIZE}`;
    return {
      found,
      remedy: "close those of other clients, or raise max_connections (capacity.most of a created database)",
    };
  },
});

/** Until a run stops what it finds. */
const SECONDS_OF_A_RUN = 30;
const SHOW = "npm run backstop -- runs show";
const START = "start the schedule of a stage (schedule resume), or one run: npm run backstop -- invoke";

function runs(db: Transactional, now: Date): readonly Check[] {
  const lastRun: Check = {
    name: "last run",
    needs: ["migrations"],
    async run() {
      const [latest] = await readRuns(db, { before: null, limit: 1 });
      if (!latest) return { found: "there was none yet", remedy: START };
      const found = `${latest.startedAt.toISOString()}, ${latest.success ? "a success" : (latest.reason ?? "no success")}`;
      if (+now - +latest.startedAt > DAY_MS) return { found, remedy: START };
      if (latest.success === false || latest.timedOut) return { found, remedy: `see why: ${SHOW}` };
      return { found };
    },
  };
  const promise: Check = {
    name: "promise",
    needs: ["last run"],
    async run() {
      const latest = await readRuns(db, { before: null, limit: 2 });
      const slowest = latest[0]?.slowestSeconds ?? 0;
      const found = `${slowest} s from a booking to the stop`;
      const most = secondsBetweenRuns(latest) + SECONDS_OF_A_RUN;
      if (slowest <= most) return { found };
      return { found, remedy: `it should take at most ${most} s: docs/runbook.md#booking-to-stop-too-slow` };
    },
  };
  return [lastRun, promise];
}

/** The latest run says whether the functions that send have links. */
const unsubscribe = (db: Transactional): Check => ({
  name: "unsubscribe",
  needs: ["migrations"],
  async run() {
    const hasLinks = await haveUnsubscribeLinks(db);
    if (hasLinks === null) return { found: "no run has reported yet whether messages have links" };
    if (hasLinks) return { found: "messages have links" };
    const names = await activeSequencesWithLink(db);
    if (names.length === 0) return { found: "no links; no active sequence needs one" };
    const found = `no links, but texts of ${firstOf(names)} need one`;
    return { found, remedy: `${HOW_TO_GET_LINKS}; then npm run backstop -- touches retry` };
  },
});

const bookingTools = (db: Transactional, now: Date): Check => ({
  name: "booking tools",
  needs: ["migrations"],
  async run() {
    const sweeps = await readSweeps(db, { workspaceId: null, now });
    if (sweeps.length === 0) return { found: "no sweep was reported within a day: bookings arrive by webhook only" };
    const failing = sweeps.filter((sweep) => isWorthReporting(sweep) || isSilent(sweep, now));
    const hot = sweeps.filter(({ window }) => window === "hot");
    const oldest = Math.min(...hot.map(({ since }) => +since), +now);
    if (failing.length === 0) return { found: sweepAgeText((+now - oldest) / 1_000) };
    const texts = failing.map((sweep) => sweepText(sweep, now));
    return { found: firstOf(texts, ". "), remedy: "docs/runbook.md#sweep-age" };
  },
});

const freeTimes = (db: Transactional, now: Date): Check => ({
  name: "free times",
  needs: ["migrations"],
  async run() {
    const offering = await workspacesThatOffer(db, now);
    const waiting = offering.filter(({ canOffer }) => !canOffer).map(({ name }) => name);
    if (offering.length === 0) return { found: "no active sequence offers any" };
    if (waiting.length === 0) return { found: `new enough; workspaces that offer them: ${offering.length}` };
    const found = `none, or older than availabilityMaxAge, so that texts wait in ${firstOf(waiting)}`;
    return { found, remedy: "docs/connect.md#offer-free-times" };
  },
});

/** Enough for the people of a team: each is one request to SES, which takes about one a second. */
const MOST_LEAD_SENDERS = 20;

const workspaces = (db: Transactional, senders: string[]): Check => ({
  name: "workspaces",
  needs: ["migrations"],
  async run() {
    const [ofWorkspaces, ofLeads] = [await readSenders(db), await readLeadSenders(db, MOST_LEAD_SENDERS)];
    senders.push(...ofWorkspaces, ...ofLeads);
    if (ofWorkspaces.length > 0)
      return { found: `senders of workspaces: ${ofWorkspaces.length}, of leads: ${ofLeads.length}` };
    return { found: "there is none yet", remedy: "create one: npm run backstop -- workspaces apply FILE.yaml" };
  },
});
