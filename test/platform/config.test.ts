import { describe, expect, it } from "@jest/globals";
import { loadConfig, loadIntakeConfig } from "../../lib/platform/config.ts";

const local = {
  DATABASE_URL: "postgres://u:secret@127.0.0.1:5432/db",
  EMAIL_TRANSPORT: "files",
  OUTBOX_DIRECTORY: "out",
};

describe("the environment", () => {
  it("requires a database and an e-mail transport, and has defaults for the rest", () => {
    expect(loadConfig(local)).toMatchObject({ LOG_LEVEL: "INFO", RUN_BATCH_SIZE: 1000, DATABASE_PORT: 5432 });
  });

  it("accepts an IAM endpoint instead of a URL", () => {
    const env = {
      DATABASE_HOST: "proxy",
      DATABASE_NAME: "backstop",
      DATABASE_USER: "followups",
      AWS_REGION: "eu-west-1",
      EMAIL_TRANSPORT: "ses",
    };
    expect(loadConfig(env)).toMatchObject({ DATABASE_HOST: "proxy", EMAIL_TRANSPORT: "ses" });
  });

  it("reports all faults at once, and no values", () => {
    const env = {
      DATABASE_URL: "mysql://u:secret@host/db",
      EMAIL_TRANSPORT: "smtp",
      RUN_BATCH_SIZE: "5000",
      LOG_LEVEL: "LOUD",
    };
    expect(() => loadConfig(env)).toThrow(/(?=[\s\S]*DATABASE_URL)(?=[\s\S]*LOG_LEVEL)(?=[\s\S]*RUN_BATCH_SIZE)/);
    expect(() => loadConfig(env)).not.toThrow(/secret/);
  });

  it("reports faults between settings together with those of single settings", () => {
    const both = /EMAIL_TRANSPORT[\s\S]*DATABASE_HOST: is required unless DATABASE_URL is set/;
    expect(() => loadConfig({})).toThrow(both);
    const wrong = { ...local, EMAIL_TRANSPORT: "pigeon", WEBHOOK_URL: "http://receiver.example/" };
    expect(() => loadConfig(wrong)).toThrow(/EMAIL_TRANSPORT[\s\S]*WEBHOOK_URL: must be https/);
  });

  it.each([
    [{}, /DATABASE_HOST: is required unless DATABASE_URL is set/],
    [{ ...local, EMAIL_TRANSPORT: "smtp" }, /SMTP_URL: is required for EMAIL_TRANSPORT=smtp/],
    [{ ...local, EMAIL_TRANSPORT: "smtp", SMTP_URL: "smtp://" }, /SMTP_URL: must look like/],
    [{ ...local, EMAIL_TRANSPORT: "smtp", SMTP_URL: "smtp://me:50%@host" }, /SMTP_URL: .*percent-encoded/],
    [{ ...local, OUTBOX_DIRECTORY: undefined }, /OUTBOX_DIRECTORY: is required for EMAIL_TRANSPORT=files/],
  ])("names the settings that a choice requires: %#", (env, message) => {
    expect(() => loadConfig({ EMAIL_TRANSPORT: "ses", ...env })).toThrow(message);
  });
});

describe("the environment of the intake", () => {
  const INTAKE_DEAD_LETTERS_URL = "https://sqs.eu-west-1.amazonaws.com/111122223333/refused";

  it("requires a dead-letter queue, and a database by URL or by IAM endpoint", () => {
    const byAddress = { DATABASE_URL: local.DATABASE_URL, INTAKE_DEAD_LETTERS_URL };
    expect(loadIntakeConfig(byAddress)).toMatchObject({ connectionString: local.DATABASE_URL });
    const place = { DATABASE_HOST: "proxy", DATABASE_NAME: "backstop", DATABASE_USER: "run", AWS_REGION: "eu-west-1" };
    expect(loadIntakeConfig({ ...place, INTAKE_DEAD_LETTERS_URL })).toMatchObject({ host: "proxy", port: 5432 });
  });

  it("reports all faults at once, and no values", () => {
    expect(() => loadIntakeConfig({ LOG_LEVEL: "LOUD" })).toThrow(
      /(?=[\s\S]*INTAKE_DEAD_LETTERS_URL)(?=[\s\S]*LOG_LEVEL)(?=[\s\S]*DATABASE_HOST)/,
    );
    const wrong = { DATABASE_URL: "mysql://u:secret@host/db", INTAKE_DEAD_LETTERS_URL };
    expect(() => loadIntakeConfig(wrong)).toThrow(/DATABASE_URL/);
    expect(() => loadIntakeConfig(wrong)).not.toThrow(/secret/);
  });
});
