import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import { diagnose } from "../../cli/commands/doctor.ts";
import { withOperator } from "../../cli/operator.ts";
import { Problem } from "../../cli/problem.ts";
import { PROJECT } from "../../infra/bundle.ts";
import { bookLead } from "../../lib/operate/book-lead.ts";
import { DATABASE_CHECKS } from "../../lib/operate/doctor.ts";
import type { Question } from "../../lib/operate/operation.ts";
import { pauseWorkspace, resumeWorkspace } from "../../lib/operate/pause-workspace.ts";
import { QUESTIONS } from "../../lib/operate/questions.ts";
import { takeInEvent } from "../../lib/operate/take-in-event.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { loadDemo } from "../../prisma/demo/load-demo.ts";
import { closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { anExample } from "../infra/example.ts";
import { startProgram } from "../support/child-process.ts";
import { type Artefacts, synthesise } from "../support/lambda/artefacts.ts";
import { type InvokeApi, startInvokeApi } from "../support/lambda/invoke-api.ts";
import { createProxiedDatabase, type ProxiedDatabase } from "../support/lambda/proxied-database.ts";
import { type LambdaWorker, startWorker } from "../support/lambda/worker.ts";
import { long } from "../support/long.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const LOOK = "backstop-dev-look";
const OPERATE = "backstop-dev-operate";
const WORKSPACE = "Nordlicht Beratung";
const MEETING = join(PROJECT, "events/intake/meeting.booked.json");
const ON_STAGE = { stage: "dev", folder: "" };

let artefacts: Artefacts;
let database: ProxiedDatabase;
let look: LambdaWorker;
let operate: LambdaWorker;
let lambda: InvokeApi;
let local: { readonly folder: string };
/** Runs after each order, before its answer is sent. */
let afterOrder = () => undefined as unknown;

beforeAll(async () => {
  artefacts = await synthesise(anExample());
  database = await createProxiedDatabase();
  look = await start(LOOK, await database.lookEnvironment());
  operate = await start(OPERATE, database.environment);
  const hooked = { ...operate, invoke: async (event: unknown) => await operate.invoke(event).finally(afterOrder) };
  lambda = await startInvokeApi({ [LOOK]: look, [OPERATE]: hooked });
  local = { folder: await temporaryFolder() };
  const loaded = openDatabase({ connectionString: database.url });
  await loadDemo(loaded, { leads: 60, seed: 1 });
  await loaded.close();
  await database.sql.query(`
    insert into run (trigger, request_id, started_at, deadline_at, finished_at, success, report)
    values ('schedule', 'a-run', now(), now(), now(), true, '{}')`);
  Object.assign(process.env, {
    DATABASE_URL: database.url,
    AWS_ENDPOINT_URL_LAMBDA: lambda.url,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "a-secret-of-this-test",
  });
});

afterAll(async () => {
  await lambda.close();
  for (const worker of [look, operate]) await worker.close();
  await database.drop();
});

function start(functionName: string, environment: Readonly<Record<string, string>>): Promise<LambdaWorker> {
  const { bundle, handler, environment: own } = artefacts.of(functionName);
  return startWorker({ bundle, handler, functionName, environment: { ...own, ...environment } });
}

/** The input of a question in its test event. */
async function inputOf({ name }: Question): Promise<unknown> {
  const file = join(PROJECT, "events/look", `${name.replaceAll(" ", "-")}.json`);
  return JSON.parse(await readFile(file, "utf8")).input;
}

/** Both places answer at once, but their times differ by milliseconds. */
expect.addEqualityTesters([
  (one, other) => (one instanceof Date && other instanceof Date ? Math.abs(+one - +other) < 10_000 : undefined),
]);

/** Other errors fail the test. */
function refusal(thrown: unknown): string {
  if (thrown instanceof Problem && thrown.message.startsWith("refused")) return thrown.message;
  throw thrown;
}

const ordersRecorded = async () =>
  (await database.sql.query("select name, placed_by, reason, request_id from placed_order order by placed_at")).rows;

const pausedAt = async () =>
  (await database.sql.query("select paused_at from workspace where name = $1", [WORKSPACE])).rows[0].paused_at;

const anOrder = (orderId: string) => ({
  order: "workspaces pause",
  input: { workspace: WORKSPACE },
  orderId,
  by: "Hana",
  reason: "wrong price list",
});

describe("with --stage, through Lambda's Invoke, the bundles under the AWS runtime client and tokens for the proxy,", () => {
  long.it.each(QUESTIONS.map((asked) => [asked.name, asked] as const))(
    "%s gives the same answer or refusal as on the database",
    async (_, asked) => {
      const input = await inputOf(asked);
      const [onDatabase, onStage] = await Promise.all(
        [local, ON_STAGE].map((place) => withOperator(place, (operator) => operator.ask(asked, input)).catch(refusal)),
      );
      expect(lambda.invoked.at(-1)).toBe(LOOK);
      expect(onStage).toEqual(onDatabase);
    },
  );

  long.it("a refusal is the same", async () => {
    const pauses = [local, ON_STAGE].map((place) =>
      withOperator(place, (operator) =>
        operator.order(pauseWorkspace, { workspace: "Nobody" }, { by: "Hana", reason: "a test" }),
      ).catch((thrown: Error) => thrown.message),
    );
    const [onDatabase, onStage] = await Promise.all(pauses);
    expect(onStage).toMatch(/not_found.*Nordlicht Beratung/);
    expect(onStage).toBe(onDatabase);
    expect(await ordersRecorded()).toEqual([]);
  });

  long.it("an order is carried out, and recorded with the id of the AWS request", async () => {
    const signature = { by: "Hana", reason: "wrong price list" };
    const answer = await withOperator(ON_STAGE, (operator) =>
      operator.order(pauseWorkspace, { workspace: WORKSPACE }, signature),
    );
    expect(answer).toMatchObject({ name: WORKSPACE, changed: true });
    expect(await pausedAt()).toBeInstanceOf(Date);
    expect(await ordersRecorded()).toEqual([
      {
        name: "workspaces pause",
        placed_by: "Hana",
        reason: "wrong price list",
        request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      },
    ]);
  });

  long.it("an order that arrives twice is one order, on the database and on the stage", async () => {
    const signature = { by: "Hana", reason: "price list corrected", orderId: randomUUID() };
    const before = await ordersRecorded();
    const answers = [];
    for (const place of [ON_STAGE, ON_STAGE, local]) {
      answers.push(
        await withOperator(place, (operator) => operator.order(resumeWorkspace, { workspace: WORKSPACE }, signature)),
      );
    }
    expect(answers).toEqual(Array(3).fill(expect.objectContaining({ name: WORKSPACE, changed: true })));
    expect((await ordersRecorded()).length - before.length).toBe(1);
  });

  long.it("a reported meeting and an event have the same effects as on the database", async () => {
    const { rows } = await database.sql.query(
      "select lead_id as lead from follow_up_instance where live and not post_booking",
    );
    const event = JSON.parse(await readFile(MEETING, "utf8"));
    const rehearsed = { by: "Hana", reason: "by phone", dryRun: true };
    const effects = async (place: typeof local) => [
      await withOperator(place, (operator) =>
        operator.order(bookLead, { lead: rows[0].lead, startsAt: "2099-03-02T10:00" }, rehearsed),
      ),
      await withOperator(place, (operator) => operator.order(takeInEvent, event, rehearsed)),
    ];
    const onDatabase = await effects(local);
    expect(onDatabase).toMatchObject([{ ended: 1 }, { outcomes: [{ outcome: "applied" }] }]);
    expect(await effects(ON_STAGE)).toEqual(onDatabase);
  });

  long.it("a stage whose functions do not exist is named", async () => {
    const asked = withOperator({ ...ON_STAGE, stage: "none" }, (operator) =>
      operator.ask(QUESTIONS[0] as Question, {}),
    );
    await expect(asked).rejects.toThrow("there is no function backstop-none-look");
  });
});

/** A command that can reach the stage and no database. */
const command = (words: readonly string[]) =>
  startProgram("cli/main.ts", words, {
    environment: { NO_COLOR: "1", DATABASE_URL: "postgresql://127.0.0.1:1/none" },
  });

describe("the command `intake --stage`", () => {
  const words = ["intake", MEETING, "--stage", "dev"];

  long.it("applies an event once, and prints the outcome", async () => {
    const signed = [...words, "--by", "Hana", "--reason", "by phone"];
    const [first, second] = [await command(signed).ended, await command(signed).ended];
    expect([first.code, JSON.parse(first.stdout)]).toMatchObject([0, { outcome: "applied" }]);
    expect([second.code, JSON.parse(second.stdout)]).toEqual([0, { outcome: "duplicate" }]);
  });

  long.it("needs who and why, and says so", async () => {
    expect(await command(words).ended).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/who reports it, and why\? Add --by <name> and --reason <text>/),
    });
  });
});

describe("the command `leads import --stage`", () => {
  const enrolled = async () =>
    (await database.sql.query("select from lead where email like '%@import.example.test'")).rowCount;

  async function aFile() {
    const path = join(await temporaryFolder(), "leads.csv");
    const rows = Array.from({ length: 1_100 }, (_, number) => `lead${number}@import.example.test,Ada`);
    await writeFile(path, ["email,first name", ...rows, "not-mail,Eve"].join("\n"));
    const given = ["leads", "import", path, "--workspace", WORKSPACE, "--sequence", "No answer yet", "--stage", "dev"];
    return { path, words: [...given, "--by", "Hana", "--reason", "trade fair"] };
  }

  long.it("changes nothing in a dry run, and continues after a kill: no lead is enrolled twice", async () => {
    const { path, words } = await aFile();
    const rehearsed = await command([...words.slice(0, -4), "--dry-run"]).ended;
    expect(rehearsed.stdout).toMatch(/line 2: enrolled\n[\s\S]*\n1101 rows\n {2}enrolled 1100\n {2}invalid 1\nDry run/);
    expect(await enrolled()).toBe(0);

    const killed = command(words);
    afterOrder = () => killed.process.kill("SIGKILL");
    await killed.ended;
    afterOrder = () => undefined;
    expect(await enrolled()).toBe(1_000);

    const before = (await ordersRecorded()).length;
    const { code, stdout } = await command(words).ended;
    expect(stdout).toMatch(/^1101 rows\n {2}enrolled 1100\n {2}invalid 1\nVerdicts: /);
    expect(code).toBe(1);
    expect(await enrolled()).toBe(1_100);
    expect((await ordersRecorded()).length - before).toBe(1);
    const verdicts = (await readFile(path.replace(".csv", ".verdicts.csv"), "utf8")).trimEnd().split("\n");
    expect(verdicts).toHaveLength(1_102);
    expect(verdicts.at(-1)).toBe("not-mail,Eve,1102,invalid,email: must be exactly one e-mail address");
  });

  long.it("needs who and why, and says so", async () => {
    const { words } = await aFile();
    expect(await command(words.slice(0, -4)).ended).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/who imports, and why\? Add --by <name> and --reason <text>/),
    });
  });
});

describe("doctor --stage", () => {
  let aws: HttpDouble;
  let schedule: object;

  beforeAll(async () => {
    aws = await httpServer((response) => {
      const { path = "", headers } = aws.requests.at(-1) ?? {};
      const isQueue = String(headers?.["x-amz-target"]).startsWith("AmazonSQS");
      const quota = { Max24HourSend: 200, SentLast24Hours: 5, MaxSendRate: 14 };
      const body = path.startsWith("/schedules/")
        ? schedule
        : path.endsWith("/account")
          ? { ProductionAccessEnabled: true, SendingEnabled: true, SendQuota: quota }
          : { VerifiedForSendingStatus: path.includes("identities"), __type: "QueueDoesNotExist" };
      response.writeHead(isQueue ? 400 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
    process.env["AWS_ENDPOINT_URL"] = `http://127.0.0.1:${aws.port}`;
  });

  afterAll(async () => {
    delete process.env["AWS_ENDPOINT_URL"];
    await closeServers();
  });

  const statesOf = async (stage: string) => {
    const results = await diagnose({ stage, folder: "" });
    for (const { state, remedy } of results) expect(remedy !== null).toBe(state === "failed");
    return Object.fromEntries(results.map(({ name, state, remedy }) => [name, remedy ?? state]));
  };

  long.it("passes every check of a stage that works, of the database and of AWS", async () => {
    schedule = { State: "ENABLED", ScheduleExpression: "rate(1 minute)" };
    const states = await statesOf("dev");
    expect(Object.keys(states)).toEqual([...DATABASE_CHECKS, "schedule", "queues", "SES account", "SES identities"]);
    expect(new Set(Object.values(states))).toEqual(new Set(["passed"]));
  });

  long.it("names the remedy for a setting of the role that runs, a failed run and a paused schedule", async () => {
    schedule = { State: "DISABLED" };
    const { rows } = await database.sql.query(
      `select rolname from pg_roles where has_table_privilege(oid, 'touch', 'insert') and rolcanlogin and not rolsuper`,
    );
    await database.sql.query(`alter role ${rows[0].rolname} set synchronous_commit = off`);
    await database.sql.query("update run set success = false");
    const states = await statesOf("dev");
    await database.sql.query(`alter role ${rows[0].rolname} reset all`);
    expect(states["settings"]).toMatch(
      /synchronous_commit is off.*ALTER ROLE backstop_role_\w+ SET synchronous_commit = on/,
    );
    expect(states["schedule"]).toBe("npm run backstop -- schedule resume --stage dev");
    expect(states["last run"]).toBe("see why: npm run backstop -- runs show --stage dev");
  });

  long.it("skips what needs a database that does not answer, and still checks AWS", async () => {
    const states = await statesOf("none");
    expect(states).toMatchObject({
      database: expect.stringContaining("there is no function backstop-none-look"),
      migrations: "skipped",
      workspaces: "skipped",
      "SES account": "passed",
      "SES identities": "skipped",
    });
  });
});

long.it(
  "the function look takes no orders, and its database role cannot write; the function operate takes the same order",
  async () => {
    const sent = anOrder(randomUUID());
    expect(await look.invoke(sent)).toMatchObject({ body: { code: "invalid_input" } });
    const asLook = await start(OPERATE, await database.lookEnvironment());
    try {
      expect(await asLook.invoke(sent)).toMatchObject({
        kind: "error",
        errorMessage: expect.stringContaining("permission denied"),
      });
      expect(await pausedAt()).toBeNull();
      expect(await operate.invoke(sent)).toMatchObject({ body: { outcome: "answered" } });
      expect(await pausedAt()).toBeInstanceOf(Date);
    } finally {
      await asLook.close();
    }
  },
);
