import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Match, type Template } from "aws-cdk-lib/assertions";
import { PROJECT } from "../../infra/bundle.ts";
import { METRIC_UNITS } from "../../lib/platform/metrics.ts";
import { anExample, aTemplate, everything, inbound } from "./example.ts";

const template = aTemplate();
const withQueue = aTemplate(anExample(inbound));

interface AlarmProperties {
  readonly AlarmName: string;
  readonly AlarmDescription: string;
  readonly [property: string]: unknown;
}

/** The alarms of a template, by name without the stage. */
function alarmsOf(from: Template): ReadonlyMap<string, AlarmProperties> {
  const found = Object.values(from.findResources("AWS::CloudWatch::Alarm"));
  const alarms = found.map(({ Properties }) => Properties as AlarmProperties);
  return new Map(alarms.map((alarm) => [alarm.AlarmName.replace("backstop-dev-", ""), alarm]));
}

const severityOf = ({ AlarmDescription }: AlarmProperties) => /Severity: (page|ticket)\./.exec(AlarmDescription)?.[1];
const runbook = readFile(join(PROJECT, "docs/runbook.md"), "utf8");

describe("the alarms", () => {
  it("are these, each with a complete section in the runbook", async () => {
    const sections = (await runbook).split(/^#+ /m).slice(1);
    const anchors = new Map(sections.map((section) => [anchorOf(section), section]));
    const alarms = alarmsOf(withQueue);
    expect([...alarms.keys()].sort()).toEqual([
      "backstop-completes-much",
      "booking-to-stop-too-slow",
      "deliver-near-time-out",
      "deliveries-wait",
      "email-down",
      "events-fail",
      "events-wait",
      "failed-deliveries",
      "intake-near-time-out",
      "lost-digests",
      "near-time-out",
      "no-successful-run",
      "no-ticks",
      "oldest-due-too-old",
      "paused-workspaces",
      "proxy-pinning",
      "reconcile-failed",
      "refused-events",
      "refused-workspaces",
      "rejected-signatures",
      "run-failed",
      "sms-down",
      "sweep-age",
      "throttled-requests",
      "undelivered-ticks",
      "unknown-touches",
      "webhook-down",
      "webhooks-fail",
    ]);
    for (const [name, { AlarmDescription }] of alarms) {
      for (const part of ["**Means.**", "**Look.**", "**Do.**"]) expect(anchors.get(name)).toContain(part);
      expect(AlarmDescription).toContain(`docs/runbook.md#${name}`);
    }
  });

  it("watch only metrics that the functions emit", () => {
    const text = JSON.stringify([...alarmsOf(withQueue).values()]);
    const watched = [...text.matchAll(/"MetricName":"(\w+)","Namespace":"Backstop"/g)].map(([, name = ""]) => name);
    expect(watched.length).toBeGreaterThanOrEqual(6);
    for (const name of watched) expect(Object.keys(METRIC_UNITS)).toContain(name);
  });

  it("notify the topic of their severity when they fire and when they end", () => {
    const alarms = [...alarmsOf(template).values()];
    for (const severity of ["page", "ticket"]) {
      const topic = [`arn:aws:sns:eu-central-1:111122223333:backstop-dev-${severity}`];
      const ofSeverity = alarms.filter((alarm) => severityOf(alarm) === severity);
      expect(ofSeverity.length).toBeGreaterThan(2);
      for (const alarm of ofSeverity) expect(alarm).toMatchObject({ AlarmActions: topic, OKActions: topic });
    }
    expect(alarms.map(severityOf)).not.toContain(undefined);
    for (const alarm of alarmsOf(aTemplate(anExample({ alarms: {} }))).values()) {
      expect(alarm["AlarmActions"]).toBeUndefined();
    }
  });

  it("have the severities of the runbook's table", async () => {
    const rows = [...(await runbook).matchAll(/^\| \[[^\]]+\]\(#([\w-]+)\) \| (page|ticket)/gm)];
    const documented = new Map(rows.map(([, name = "", severity]) => [name, severity]));
    const actual = new Map([...alarmsOf(withQueue)].map(([name, alarm]) => [name, severityOf(alarm)]));
    expect(documented).toEqual(actual);
  });

  it("on channels page only with a queue: without one, runs fail while a channel is down, and those page", () => {
    for (const [from, severity] of [
      [template, "ticket"],
      [withQueue, "page"],
    ] as const) {
      const alarms = alarmsOf(from);
      expect(["email-down", "sms-down"].map((name) => alarms.get(name)).map((one) => one && severityOf(one))).toEqual([
        severity,
        severity,
      ]);
    }
  });
});

describe("in a stage that is configured as paused, the alarms", () => {
  const paused = alarmsOf(aTemplate(anExample({ ...everything, paused: true })));

  it("on the intake notify, because the intake runs", () => {
    for (const name of ["events-wait", "refused-events", "intake-near-time-out"]) {
      expect(paused.get(name)).toMatchObject({ ActionsEnabled: true });
    }
  });

  it("are all on, except the one on the delivery queue, which is stopped", () => {
    const quiet = [...paused].filter(([, alarm]) => alarm["ActionsEnabled"] === false).map(([name]) => name);
    expect(quiet).toEqual(["deliveries-wait"]);
    expect([...alarmsOf(withQueue).values()].map((alarm) => alarm["ActionsEnabled"])).not.toContain(false);
  });

  it("report a forgotten pause after a day, as a ticket", () => {
    const noTicks = paused.get("no-ticks");
    expect(noTicks).toMatchObject({
      EvaluationPeriods: 288,
      AlarmDescription: expect.stringContaining("Severity: ticket"),
    });
  });
});

it("the alarm on failing events still fires when SQS no longer counts their age", () => {
  const events = withQueue.findResources("AWS::SQS::Queue", { Properties: { QueueName: "backstop-dev-events" } });
  const [redeliveredAfter] = Object.values(events).map(({ Properties }) => Properties["VisibilityTimeout"] as number);
  const alarm = alarmsOf(withQueue).get("events-fail");
  expect(alarm).toMatchObject({ EvaluationPeriods: 3, DatapointsToAlarm: 3 });
  const periods = [...JSON.stringify(alarm).matchAll(/"Period":(\d+)/g)].map(([, period]) => Number(period));
  expect(periods).toHaveLength(2);
  for (const period of periods) expect(period).toBeGreaterThan(redeliveredAfter ?? Number.POSITIVE_INFINITY);
});

describe("the alarm on missing ticks", () => {
  it("fires on missing data, as the only one", () => {
    const firing = [...alarmsOf(template)].filter(([, alarm]) => alarm["TreatMissingData"] !== "notBreaching");
    expect(firing.map(([name, alarm]) => [name, alarm["TreatMissingData"]])).toEqual([["no-ticks", "breaching"]]);
  });

  it.each([
    ["rate(1 minute)", 300, 12, 60],
    ["rate(1 hour)", 300, 15, 75],
    ["rate(1 day)", 3600, 26, 1455],
    ["cron(0/5 8-18 ? * MON-FRI *)", 3600, 63, 3680],
  ])("waits longer than the schedule rests: %s", (expression, period, periods, minutes) => {
    const found = alarmAt(expression, "no-ticks");
    expect(found).toMatchObject({
      EvaluationPeriods: periods,
      DatapointsToAlarm: periods,
      AlarmDescription: expect.stringContaining(`for ${minutes} minutes`),
    });
    expect(JSON.stringify(found)).toContain(`"Period":${period}`);
  });

  it("is missing if the schedule rests for longer than CloudWatch can look back", () => {
    expect(alarmAt("rate(7 days)", "no-ticks")).toBeUndefined();
    expect(alarmAt("rate(6 days)", "no-ticks")).toMatchObject({ EvaluationPeriods: 146 });
  });

  it("waits for the configured time", () => {
    const changed = alarmsOf(aTemplate(anExample({ alarms: { noTicksMinutes: 120 } })));
    expect(changed.get("no-ticks")).toMatchObject({ EvaluationPeriods: 24 });
  });
});

describe("the alarm on missing successful runs", () => {
  it.each([
    ["rate(1 minute)", 5, 6],
    ["rate(2 minutes)", 3, 4],
    ["rate(5 minutes)", 2, 3],
    ["rate(12 hours)", 2, 3],
    ["rate(1 day)", 1, 1],
    ["rate(2 days)", 1, 1],
  ])("outlasts a failover: %s", (expression, failing, of) => {
    expect(alarmAt(expression, "no-successful-run")).toMatchObject({
      DatapointsToAlarm: failing,
      EvaluationPeriods: of,
    });
  });

  it("evaluates as configured, and only while the schedule ticks", () => {
    const alarms = { noSuccessfulRun: { failing: 3, of: 10 } };
    aTemplate(anExample({ alarms, schedule: { expression: "rate(5 minutes)" } })).hasResourceProperties(
      "AWS::CloudWatch::Alarm",
      {
        AlarmName: "backstop-dev-no-successful-run",
        DatapointsToAlarm: 3,
        EvaluationPeriods: 10,
        Metrics: Match.arrayWith([
          Match.objectLike({ Expression: "SUM([ticks, -1 * FILL(successes, 0)])" }),
          Match.objectLike({ Id: "ticks", MetricStat: Match.objectLike({ Period: 300 }) }),
        ]),
      },
    );
  });
});

describe("one failed run", () => {
  it("raises one alarm, which ends by itself: no alarm counts the messages about failed runs and ticks", () => {
    const watched = [...alarmsOf(withQueue)]
      .filter(([, alarm]) => alarm["MetricName"] === "ApproximateNumberOfMessagesVisible")
      .map(([name]) => name);
    expect(watched.sort()).toEqual(["failed-deliveries", "refused-events"]);
  });

  it("counts if it threw, timed out, or found no free worker", () => {
    const text = JSON.stringify(alarmsOf(template).get("run-failed"));
    expect([...text.matchAll(/"MetricName":"(\w+)"/g)].map(([, name]) => name)).toEqual([
      "Errors",
      "AsyncEventsDropped",
    ]);
  });

  it("is missing among the ticks if Scheduler dropped its tick or put it into the dead-letter queue", () => {
    const text = JSON.stringify(alarmsOf(template).get("undelivered-ticks"));
    expect([...text.matchAll(/"MetricName":"(\w+)"/g)].map(([, name]) => name)).toEqual([
      "InvocationDroppedCount",
      "InvocationsSentToDeadLetterCount",
    ]);
  });
});

describe("the thresholds", () => {
  it.each([
    ["rate(1 minute)", 1_800],
    ["rate(15 minutes)", 1_800],
    ["rate(1 hour)", 7_200],
    ["rate(1 day)", 172_800],
  ])("allow a due step to wait for at least two ticks: %s", (expression, seconds) => {
    expect(alarmAt(expression, "oldest-due-too-old")).toMatchObject({
      Threshold: seconds,
      AlarmDescription: expect.stringContaining(`more than ${seconds / 60} minutes`),
    });
  });

  it.each([
    ["rate(1 minute)", 90],
    ["rate(1 hour)", 3_630],
    ["cron(0/5 8-18 * * ? *)", 785 * 60 + 30],
  ])("on booking-to-stop are 30 s above the longest time between two ticks: %s", (expression, above) => {
    expect(alarmAt(expression, "booking-to-stop-too-slow")).toMatchObject({ Threshold: above });
  });

  it("on booking-to-stop use the maximum of the metric", () => {
    withQueue.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "backstop-dev-booking-to-stop-too-slow",
      MetricName: "BookingToStop",
      Dimensions: [{ Name: "service", Value: "backstop-dev-follow-ups" }],
      Statistic: "Maximum",
      Period: 300,
      Threshold: 330,
      ComparisonOperator: "GreaterThanThreshold",
    });
  });

  it("on unknown touches count those of runs and of deliveries", () => {
    for (const service of ["backstop-dev-follow-ups", "backstop-dev-deliver"]) {
      withQueue.hasResourceProperties("AWS::CloudWatch::Alarm", {
        AlarmName: "backstop-dev-unknown-touches",
        Metrics: Match.arrayWith([
          Match.objectLike({
            MetricStat: Match.objectLike({
              Metric: Match.objectLike({
                MetricName: "UnknownTouches",
                Dimensions: [{ Name: "service", Value: service }],
              }),
            }),
          }),
        ]),
      });
    }
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "backstop-dev-unknown-touches",
      MetricName: "UnknownTouches",
    });
  });
});

describe("the saved queries", () => {
  const namesIn = (from: Template) =>
    Object.values(from.findResources("AWS::Logs::QueryDefinition"))
      .map(({ Properties }) => Properties["Name"].replace("backstop-dev/", ""))
      .sort();

  it("are those that the runbook uses", async () => {
    const mentions = (await runbook).matchAll(/\bquer(?:y|ies)\s+`([a-z-]+)`(?:\s+and\s+`([a-z-]+)`)?/gi);
    const used = new Set([...mentions].flatMap(([, one, other]) => (other ? [one, other] : [one])));
    expect(namesIn(withQueue)).toEqual([...used].sort());
  });

  it("read the logs of the functions that the stage has", () => {
    const ofFacts = [
      "facts",
      "refused-facts",
      "failed-facts",
      "answers",
      "requests",
      "reconciliations",
      "failed-sweeps",
    ];
    expect(namesIn(template)).toEqual(namesIn(withQueue).filter((name) => !ofFacts.includes(name)));
    const logsOf = (from: Template) => {
      const errors = from.findResources("AWS::Logs::QueryDefinition", { Properties: { Name: "backstop-dev/errors" } });
      return Object.values(errors)[0]?.["Properties"]["LogGroupNames"];
    };
    expect([logsOf(template).length, logsOf(withQueue).length]).toEqual([3, 7]);
  });
});

function alarmAt(expression: string, name: string): AlarmProperties | undefined {
  return alarmsOf(aTemplate(anExample({ schedule: { expression } }))).get(name);
}

/** The anchor that a repository's web page gives to a heading. */
function anchorOf(section: string): string {
  const [heading = ""] = section.split("\n");
  return heading.toLowerCase().replaceAll(" ", "-");
}
