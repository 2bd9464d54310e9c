import { describe, expect, it } from "@jest/globals";
import { ConfigurationError, readConfiguration } from "../../infra/configuration.ts";
import { homeOf } from "../../infra/placement.ts";
import { faultsOfSchedule, longestInterval, shortestInterval } from "../../infra/schedule.ts";
import { anExample, cdkJson } from "./example.ts";

const stages = cdkJson.context.backstop;

describe("the configuration of a stage", () => {
  it("is valid in the example of cdk.json, which sets the CDK feature flags", () => {
    expect(readConfiguration({ stages, stage: "dev", paused: undefined })).toMatchObject({
      stage: "dev",
      paused: false,
    });
    expect(cdkJson.context["@aws-cdk/core:validateAgainstDefaultRules"]).toBe(true);
  });

  it("has defaults for all optional keys", () => {
    const { vpc, proxy, database, emailIdentityArns } = stages.dev;
    const least = { dev: { vpc, proxy, database, emailIdentityArns } };
    expect(readConfiguration({ stages: least, stage: "dev", paused: undefined })).toMatchObject({
      schedule: { expression: "rate(1 minute)", timeZone: "UTC" },
      logLevel: "INFO",
      logRetentionDays: 30,
      paused: false,
    });
  });

  it("takes account and region from the proxy's ARN", () => {
    expect(homeOf(anExample())).toEqual({ account: "111122223333", region: "eu-central-1" });
  });

  it("prefers -c paused over cdk.json", () => {
    expect(readConfiguration({ stages, stage: "dev", paused: "true" }).paused).toBe(true);
    const paused = { dev: { ...stages.dev, paused: true } };
    expect(readConfiguration({ stages: paused, stage: "dev", paused: "false" }).paused).toBe(false);
  });

  it("reports all errors at once", () => {
    const wrong = {
      vpc: { vpcId: "vpc-1", availabilityZones: ["eu-central-1a", "eu-central-1b"], privateSubnetIds: [] },
      proxy: {
        name: "",
        arn: "arn:aws:rds:eu-central-1:111122223333:db:main",
        endpoint: "no host",
        securityGroupId: "sg",
      },
      database: { name: "backstop", user: "*" },
      schedule: { expression: "rate(1 minutes)", timeZone: "Mars/Olympus" },
      emailIdentityArns: ["arn:aws:ses:eu-central-1:111122223333:identity/*"],
      logRetentionDays: 31,
      reservedConcurrency: 0,
      permissionsBoundary: "boundary",
      memory: 512,
    };
    const message = messageOf(() => readConfiguration({ stages: { dev: wrong }, stage: "dev", paused: "perhaps" }));
    for (const place of [
      "vpc.vpcId",
      "vpc.privateSubnetIds",
      "proxy.name",
      "proxy.arn",
      "proxy.endpoint",
      "proxy.securityGroupId",
      "database.user",
      "schedule.expression",
      "schedule.timeZone",
      "emailIdentityArns[0]",
      "logRetentionDays",
      "reservedConcurrency",
      "permissionsBoundary",
      "paused",
    ]) {
      expect(message).toContain(`→ at ${place}\n`.trimEnd());
    }
    expect(message).toContain('"memory"');
  });

  it("reports errors across keys together with those of single keys", () => {
    const { vpcId: _, privateSubnetIds: __, ...vpc } = stages.dev["vpc"] as Record<string, unknown>;
    const message = messageOf(() =>
      anExample({ vpc, home: { account: "1", region: "eu-central-1" }, migrate: { user: "owner" } }),
    );
    for (const fault of [
      "✖ must not be set with a proxy, whose ARN contains account and region\n  → at home",
      "→ at home.account",
      "✖ is required with a proxy: the VPC of the proxy\n  → at vpc.vpcId",
      "✖ requires host, resourceId and securityGroupId of the database with a proxy\n  → at migrate",
    ]) {
      expect(message).toContain(fault);
    }
  });

  it("requires a home if the stack creates the database", () => {
    const made = {
      proxy: undefined,
      vpc: { availabilityZones: ["eu-central-1a"] },
      database: { name: "backstop", user: "backstop_admin" },
      migrate: { host: "db.example.com", user: "backstop_admin" },
    };
    const message = messageOf(() => anExample(made));
    expect(message).toContain("✖ must not be backstop_admin");
    for (const place of ["database.user", "migrate.user"]) expect(message).toContain(`→ at ${place}`);
    expect(message).toContain("✖ is required without a proxy: account and region\n  → at home");
    expect(message).toContain("✖ must be at least two if the stack creates the database\n  → at vpc.availabilityZones");
    expect(message).toContain("✖ accepts only user if the stack creates the database\n  → at migrate");
    const home = { account: "111122223333", region: "eu-central-1" };
    const vpc = { availabilityZones: ["eu-central-1a", "eu-central-1b"] };
    expect(homeOf(anExample({ proxy: undefined, vpc, home, migrate: {} }))).toEqual(home);
  });

  it("reports all errors of the options for facts together, each with what to do", () => {
    const message = messageOf(() =>
      anExample({
        webhooks: {
          domain: {
            name: "Links.example.com",
            certificateArn: "arn:aws:acm:us-east-1:111122223333:certificate/01234567",
          },
          requestsPerSecond: 0,
          burst: 5_001,
        },
        mailEvents: { all: true },
        smsReplies: {},
        replies: { address: "Replies+tag@example.com", ruleSet: "-" },
        reconcile: { hotMinutes: 0 },
      }),
    );
    for (const fault of [
      "must be a full domain name in lower case, such as links.example.com\n  → at webhooks.domain.name",
      "is in region us-east-1 instead of region eu-central-1: API Gateway uses certificates of its own region and account\n  → at webhooks.domain.certificateArn",
      "→ at webhooks.requestsPerSecond",
      "→ at webhooks.burst",
      'requires intake, which applies the facts: add "intake": {}\n  → at webhooks',
      'requires intake, which applies the facts: add "intake": {}\n  → at mailEvents',
      'requires intake, which applies the facts: add "intake": {}\n  → at smsReplies',
      'requires intake, which applies the facts: add "intake": {}\n  → at replies',
      'requires intake, which applies the facts: add "intake": {}\n  → at reconcile',
      "→ at reconcile.hotMinutes",
      "requires sms: the number that people answer\n  → at smsReplies",
      "must be in lower case and without a plus tag\n  → at replies.address",
      "must be the name of a receipt rule set\n  → at replies.ruleSet",
    ]) {
      expect(message).toContain(fault);
    }
    expect(message).toContain('"all"');
  });

  it("rejects answers to a sender id, and mails in a region where SES receives none", () => {
    const originationIdentityArn = "arn:aws:sms-voice:eu-central-1:111122223333:sender-id/HARBOUR/DE";
    const sms = { originationIdentityArn, messageType: "TRANSACTIONAL" };
    expect(messageOf(() => anExample({ intake: {}, sms, smsReplies: {} }))).toContain(
      "people cannot answer a sender id\n  → at smsReplies",
    );
    const elsewhere = {
      proxy: undefined,
      home: { account: "111122223333", region: "eu-central-2" },
      vpc: { availabilityZones: ["eu-central-2a", "eu-central-2b"] },
      emailIdentityArns: ["arn:aws:ses:eu-central-2:111122223333:identity/example.com"],
      alarms: {},
      intake: {},
    };
    const replies = { address: "replies@example.com", ruleSet: "default-rule-set" };
    expect(anExample(elsewhere)).toMatchObject({ home: { region: "eu-central-2" } });
    expect(messageOf(() => anExample({ ...elsewhere, replies }))).toMatch(
      /SES receives no mail in eu-central-2; it does in .*eu-central-1.*\n {2}→ at replies$/m,
    );
  });

  it("rejects options of a database that the stack does not create, each by name", () => {
    const options = { standby: true, exportLog: true, performanceInsights: true, rotatePassword: false };
    const message = messageOf(() => anExample({ database: { name: "backstop", user: "backstop_run", ...options } }));
    for (const option of Object.keys(options)) {
      expect(message).toContain(
        `✖ must not be set with a proxy: it is for a database that the stack creates\n  → at database.${option}`,
      );
    }
  });

  it("rejects channel settings that grant too much or cannot work", () => {
    const message = messageOf(() =>
      anExample({
        sms: { originationIdentityArn: "arn:aws:sms-voice:eu-central-1:111122223333:pool/*", messageType: "OTHER" },
        webhook: { url: "http://example.com", secretArn: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:s" },
        emailConfigurationSet: "arn:aws:ses:eu-central-1:111122223333:configuration-set/follow-ups",
        delivery: { maximumConcurrency: 1 },
        alarms: { topics: { page: "topic" }, completionsPerHour: 0, noTicksMinutes: 1 },
        intake: { accounts: ["1234"] },
      }),
    );
    for (const place of [
      "sms.originationIdentityArn",
      "sms.messageType",
      "webhook.url",
      "webhook.secretArn",
      "emailConfigurationSet",
      "delivery.maximumConcurrency",
      "alarms.topics.page",
      "alarms.topics.ticket",
      "alarms.completionsPerHour",
      "alarms.noTicksMinutes",
      "intake.accounts[0]",
    ]) {
      expect(message).toContain(`→ at ${place}\n`.trimEnd());
    }
  });

  it.each([
    ["rate(1 minute)", { failing: 6, of: 5 }, "failing must be at most of"],
    ["rate(1 minute)", { failing: 5, of: 1441 }, "is longer than CloudWatch evaluates"],
    ["rate(1 hour)", { failing: 5, of: 169 }, "is longer than CloudWatch evaluates"],
  ])("rejects an alarm on missing runs that can never fire: %s, %j", (expression, noSuccessfulRun, fault) => {
    const message = messageOf(() => anExample({ schedule: { expression }, alarms: { noSuccessfulRun } }));
    expect(message).toContain(fault);
    expect(message).toContain("→ at alarms.noSuccessfulRun");
    const { alarms } = anExample({ schedule: { expression }, alarms: { noSuccessfulRun: { failing: 5, of: 168 } } });
    expect(alarms.noSuccessfulRun?.of).toBe(168);
  });

  it("rejects a webhook on a port that the security groups block", () => {
    const secretArn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/webhook-AbCdEf";
    const at = (url: string) => () => anExample({ webhook: { url, secretArn } });
    expect(messageOf(at("https://hooks.example.com:8443/"))).toContain("✖ must be on port 443\n  → at webhook.url");
    expect(at("https://hooks.example.com:443/")).not.toThrow();
  });

  it("rejects what is in another region or account, where the functions cannot use it", () => {
    const [here, there] = ["eu-central-1:111122223333", "us-east-1:444455556666"];
    const ses = "SES sends only with identities of the function's own region and account";
    const message = messageOf(() =>
      anExample({
        vpc: { ...(stages.dev["vpc"] as object), availabilityZones: ["eu-central-1a", "eu-west-1a"] },
        emailIdentityArns: [
          `arn:aws:ses:${here}:identity/example.com`,
          "arn:aws:ses:us-east-1:111122223333:identity/example.com",
          "arn:aws:ses:eu-central-1:444455556666:identity/example.com",
        ],
        sms: { originationIdentityArn: `arn:aws:sms-voice:${there}:pool/pool-1`, messageType: "TRANSACTIONAL" },
        webhook: {
          url: "https://hooks.example.com/",
          secretArn: `arn:aws:secretsmanager:${here}:secret:backstop/webhook-AbCdEf`,
          secretKeyArn: `arn:aws:kms:${there}:key/1`,
        },
        alarms: { topics: { page: `arn:aws:sns:${there}:alarms`, ticket: `arn:aws:sns:${here}:alarms` } },
        permissionsBoundary: "arn:aws:iam::444455556666:policy/boundary",
        paused: "perhaps",
      }),
    );
    for (const fault of [
      "✖ is not a zone of the stage's region, eu-central-1\n  → at vpc.availabilityZones[1]",
      `✖ is in region us-east-1 instead of region eu-central-1: ${ses}\n  → at emailIdentityArns[1]`,
      `✖ is in account 444455556666 instead of account 111122223333: ${ses}\n  → at emailIdentityArns[2]`,
      "✖ is in region us-east-1 instead of region eu-central-1: the functions send texts in their own region\n  → at sms.originationIdentityArn",
      "→ at webhook.secretKeyArn",
      "→ at alarms.topics.page",
      "→ at permissionsBoundary",
      "→ at paused",
    ])
      expect(message).toContain(fault);
    expect(message).not.toContain("emailIdentityArns[0]");
  });

  it("counts the connections that its functions need against those of the database", () => {
    const database = (options: object) => ({ database: { name: "backstop", user: "backstop_run", ...options } });
    const created = {
      proxy: undefined,
      home: { account: "111122223333", region: "eu-central-1" },
      vpc: { availabilityZones: ["eu-central-1a", "eu-central-1b"] },
    };
    const large = { delivery: { maximumConcurrency: 300 }, intake: {} };
    expect(messageOf(() => anExample({ ...created, ...large }))).toContain(
      "✖ at 4 means 822 connections. 2 runs, 300 deliveries, 2 intakes at once, with 4 connections each, need 1216, and 15 are kept free: raise it, or lower maximumConcurrency\n  → at database.capacity.most",
    );
    // 300 deliveries fit into 6 units and not into 5.5; a small minimum limits the maximum.
    const capacity = (least: number, most: number) => database({ capacity: { least, most } });
    expect(() => anExample({ ...created, ...large, ...capacity(0.5, 6) })).not.toThrow();
    expect(messageOf(() => anExample({ ...created, ...large, ...capacity(0.5, 5.5) }))).toContain("1138 connections");
    const huge = { delivery: { maximumConcurrency: 500 } };
    expect(messageOf(() => anExample({ ...created, ...huge, ...capacity(0.5, 64) }))).toContain("2000 connections");
    expect(() => anExample({ ...created, ...huge, ...capacity(1, 64) })).not.toThrow();

    expect(() => anExample({ ...large, ...database({}) })).not.toThrow();
    expect(() => anExample({ ...large, ...database({ connections: 1231 }) })).not.toThrow();
    expect(messageOf(() => anExample({ ...large, ...database({ connections: 1230 }) }))).toContain(
      "→ at database.connections",
    );
    expect(messageOf(() => anExample({ ...created, ...database({ connections: 100 }) }))).toContain(
      "✖ must not be set without a proxy",
    );
    expect(messageOf(() => anExample({ reservedConcurrency: 40, ...database({ connections: 100 }) }))).toContain(
      "40 runs at once",
    );
  });

  it("accepts a text sender that another account shares, a secret of another region, and a boundary of AWS", () => {
    const elsewhere = "us-east-1:444455556666";
    expect(() =>
      anExample({
        sms: {
          originationIdentityArn: "arn:aws:sms-voice:eu-central-1:444455556666:pool/pool-1",
          messageType: "TRANSACTIONAL",
        },
        webhook: {
          url: "https://hooks.example.com/",
          secretArn: `arn:aws:secretsmanager:${elsewhere}:secret:backstop/webhook-AbCdEf`,
          secretKeyArn: `arn:aws:kms:${elsewhere}:key/1`,
        },
        permissionsBoundary: "arn:aws:iam::aws:policy/PowerUserAccess",
      }),
    ).not.toThrow();
  });

  it.each([
    [{}, "✖ requires url, mailto or both\n  → at unsubscribe"],
    [{ url: "http://example.com/{touchId}" }, "✖ must be an https URL\n  → at unsubscribe.url"],
    [
      { url: "https://example.com/" },
      "✖ must contain {touchId}, which identifies the recipient\n  → at unsubscribe.url",
    ],
    [
      { url: `https://example.com/${"{touchId}/".repeat(25)}` },
      "✖ must be at most 900 characters with the touch id, to fit in a header line\n  → at unsubscribe.url",
    ],
    [{ mailto: "Stop <stop@example.com>" }, "→ at unsubscribe.mailto"],
  ])("rejects an invalid unsubscribe address: %j", (unsubscribe, fault) => {
    expect(messageOf(() => anExample({ unsubscribe }))).toContain(fault);
    expect(anExample({ unsubscribe: { mailto: "stop@example.com" } })).toMatchObject({ stage: "dev" });
  });

  it("reports subnets that do not fit the zones together with other errors", () => {
    const vpc = { ...(stages.dev["vpc"] as object), privateSubnetIds: ["subnet-0123456789abcdef0"] };
    const message = messageOf(() => anExample({ vpc, database: { name: "backstop", user: "Backstop" } }));
    expect(message).toContain("→ at vpc");
    expect(message).toContain("→ at database.user");
  });

  it("lists the defined stages if none or an unknown one is chosen", () => {
    for (const stage of [undefined, "production", "toString"]) {
      expect(messageOf(() => readConfiguration({ stages, stage, paused: undefined }))).toContain(
        "cdk.json defines dev",
      );
    }
    expect(messageOf(() => readConfiguration({ stages: undefined, stage: "dev", paused: undefined }))).toContain(
      "defines no stage",
    );
  });

  it("rejects a stage whose resource names AWS would reject", () => {
    const stage = "Development_of_the_north";
    const message = messageOf(() => readConfiguration({ stages: { [stage]: stages.dev }, stage, paused: undefined }));
    expect(message).toContain("at most 20");
  });
});

describe("a schedule expression", () => {
  it.each([
    "rate(1 minute)",
    "rate(5 minutes)",
    "rate(1 hour)",
    "rate(2 days)",
    "cron(* * * * ? *)",
    "cron(0/5 8-18 ? * MON-FRI *)",
    "cron(0 10 ? * 6L 2026-2030)",
    "cron(15,45 0 L * ? *)",
    "cron(0 12 15W JAN,JUL ? *)",
    "cron(0 12 ? * 3#1 *)",
  ])("is accepted if it is valid: %s", (expression) => {
    expect(anExample({ schedule: { expression } }).schedule.expression).toBe(expression);
  });

  it.each([
    ["at(2026-11-24T00:00:00)", "neither rate"],
    ["every minute", "neither rate"],
    ["rate(0 minutes)", "must look like"],
    ["rate(30 seconds)", "must look like"],
    ["rate(1 minutes)", "must be written rate(1 minute)"],
    ["rate(5 minute)", "must be written rate(5 minutes)"],
    ["cron(* * * * *)", "six fields"],
    ["cron(60 * * * ? *)", 'cron field "minutes": "60" is not in 0-59'],
    ["cron(0 24 * * ? *)", 'cron field "hours"'],
    ["cron(0 0 0 * ? *)", 'cron field "day of month"'],
    ["cron(0 0 ? 13 MON *)", 'cron field "month": "13" is not in 1-12 or JAN-DEC'],
    ["cron(0 0 ? * 0 *)", 'cron field "day of week"'],
    ["cron(0 18-8 * * ? *)", 'cron field "hours": "18-8"'],
    ["cron(*/0 * * * ? *)", 'cron field "minutes": "*/0"'],
    ["cron(0 0 * * * *)", "exactly one of day of month and day of week"],
    ["cron(0 0 ? * ? *)", "exactly one of day of month and day of week"],
  ])("is rejected with a reason if it is not valid: %s", (expression, reason) => {
    expect(messageOf(() => anExample({ schedule: { expression } }))).toContain(reason);
  });

  it.each(["Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC"])("accepts time zone %s", (timeZone) => {
    expect(anExample({ schedule: { timeZone } }).schedule.timeZone).toBe(timeZone);
  });

  it.each(["+01:00", "Mars/Olympus", "PST", "IST", "\u221201:00", ""])('rejects time zone "%s"', (timeZone) => {
    expect(messageOf(() => anExample({ schedule: { timeZone } }))).toContain("is not a time zone");
  });
});

describe("the shortest interval of a schedule", () => {
  it.each([
    ["rate(1 minute)", 1],
    ["rate(5 minutes)", 5],
    ["rate(2 hours)", 120],
    ["rate(7 days)", 10_080],
    ["cron(* * * * ? *)", 1],
    ["cron(0/5 8-18 ? * MON-FRI *)", 5],
    ["cron(*/20 * * * ? *)", 20],
    ["cron(0,50 8 * * ? *)", 50],
    ["cron(55,5 * * * ? *)", 10],
    ["cron(30 8,20 * * ? *)", 720],
    ["cron(0 3 L * ? *)", 1440],
  ])("of %s is %i minutes", (expression, minutes) => {
    expect(faultsOfSchedule(expression)).toEqual([]);
    expect(shortestInterval(expression).toMinutes()).toBe(minutes);
  });
});

describe("the longest regular interval of a schedule", () => {
  it.each([
    ["rate(1 minute)", 1],
    ["rate(7 days)", 10_080],
    ["cron(* * * * ? *)", 1],
    ["cron(0,50 8 * * ? *)", 1390],
    ["cron(30 8,20 * * ? *)", 720],
    ["cron(0/5 8-18 * * ? *)", 785],
    ["cron(0/5 8-18 ? * MON-FRI *)", 785 + 2 * 1440],
    ["cron(0 12 ? * 2,4 *)", 5 * 1440],
    ["cron(0 3 L * ? *)", 35 * 1440],
    ["cron(0 12 15W JAN,JUL ? *)", 366 * 1440],
  ])("of %s is %i minutes", (expression, minutes) => {
    expect(faultsOfSchedule(expression)).toEqual([]);
    expect(longestInterval(expression).toMinutes()).toBe(minutes);
  });
});

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return thrown.message;
    throw thrown;
  }
  throw new Error("nothing was refused");
}
