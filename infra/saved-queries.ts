import { type ILogGroup, QueryDefinition, QueryString, type QueryStringProps } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { FollowUpsFunction } from "./follow-ups.ts";
import type { Delivery, Intake } from "./queue-workers.ts";
import type { Reconcile } from "./reconcile.ts";
import type { Webhooks } from "./webhooks.ts";
import type { WorkerFunction } from "./worker-function.ts";

interface Workers {
  readonly followUps: FollowUpsFunction;
  readonly delivery: Delivery | undefined;
  readonly intake: Intake | undefined;
  readonly look: WorkerFunction;
  readonly operate: WorkerFunction;
  readonly webhooks: Webhooks | undefined;
  readonly reconcile: Reconcile | undefined;
}

/** The function whose log a query reads; `requests` is the access log of the webhooks. */
type Source = keyof Workers | "all" | "requests";

/** JSON booleans are 0 and 1 in Logs Insights. */
type Query = readonly [of: Source, query: QueryStringProps];

const LATEST = { sort: "@timestamp desc", limit: 50 } as const;

/** The queries of docs/runbook.md, by name. */
const QUERIES: Readonly<Record<string, Query>> = {
  runs: [
    "followUps",
    {
      fields: [
        "@timestamp",
        "report.trigger",
        "report.success",
        "report.reason",
        "report.durationMs",
        "report.results.due",
        "report.results.claimed",
        "report.results.backlog",
        "report.backstop.slowestSeconds",
      ],
      filterStatements: ['message = "run.finished"'],
      ...LATEST,
    },
  ],
  "failed-runs": [
    "followUps",
    {
      fields: ["@timestamp", "report.runId", "report.reason", "report.errors.0", "report.errors.1", "report.errors.2"],
      filterStatements: ['message = "run.finished" and report.success = 0'],
      ...LATEST,
    },
  ],
  errors: [
    "all",
    {
      filterStatements: ['level = "ERROR"'],
      statsStatements: ["count(*) as lines, max(@timestamp) as latest by service, message"],
      sort: "lines desc",
    },
  ],
  "channel-faults": [
    "all",
    {
      filterStatements: ['message = "channel.down"'],
      statsStatements: ["count(*) as times, max(@timestamp) as latest by channel, reason, workspaceId"],
      sort: "latest desc",
    },
  ],
  "time-and-memory": [
    "all",
    {
      filterStatements: ['@type = "REPORT"'],
      statsStatements: [
        "max(@duration) as slowestMs, max(@maxMemoryUsed / 1000000) as mostMB, max(@initDuration) as coldStartMs by bin(15m), @log",
      ],
    },
  ],
  facts: [
    "intake",
    {
      filterStatements: ["message like /^event\\./"],
      statsStatements: ["count(*) as facts, max(@timestamp) as latest by message, type"],
      sort: "facts desc",
    },
  ],
  "refused-facts": [
    "intake",
    {
      fields: ["@timestamp", "messageId", "type", "workspaceId", "reason"],
      filterStatements: ['message = "event.refused"'],
      ...LATEST,
    },
  ],
  "failed-facts": [
    "intake",
    { fields: ["@timestamp", "messageId", "fault"], filterStatements: ['message = "event.failed"'], ...LATEST },
  ],
  answers: [
    "webhooks",
    {
      filterStatements: ['message = "webhook.answered"'],
      statsStatements: [
        "count(*) as answers, max(@timestamp) as latest by route, status, outcome, workspaceId, reason",
      ],
      sort: "answers desc",
    },
  ],
  reconciliations: [
    "reconcile",
    {
      fields: ["@timestamp", "connections", "swept", "seen", "changed", "unread", "failed", "health"],
      filterStatements: ['message = "reconcile.finished"'],
      ...LATEST,
    },
  ],
  "failed-sweeps": [
    "reconcile",
    {
      filterStatements: ['message in ["connection.failed", "connection.free_times_failed"]'],
      statsStatements: [
        "count(*) as times, max(@timestamp) as latest by message, workspaceId, tool, window, fault, reason",
      ],
      sort: "latest desc",
    },
  ],
  requests: [
    "requests",
    {
      statsStatements: ["count(*) as requests, max(time) as latest by route, status, error, integrationError"],
      sort: "requests desc",
    },
  ],
};

function logGroupsOf(source: Source, workers: Workers): readonly ILogGroup[] {
  if (source === "requests") return workers.webhooks ? [workers.webhooks.accessLog] : [];
  const read = source === "all" ? Object.values(workers) : [workers[source]];
  return read.flatMap((worker) => worker?.function.logGroup ?? []);
}

/** The runbook's queries in CloudWatch Logs Insights, in the folder of the stage. */
export class SavedQueries extends Construct {
  constructor(scope: Construct, id: string, { names, ...workers }: Workers & { readonly names: StageNames }) {
    super(scope, id);
    for (const [name, [source, query]] of Object.entries(QUERIES)) {
      const logGroups = [...logGroupsOf(source, workers)];
      if (logGroups.length === 0) continue;
      new QueryDefinition(this, name, {
        queryDefinitionName: `${names.queryPrefix}${name}`,
        queryString: new QueryString(query),
        logGroups,
      });
    }
  }
}
