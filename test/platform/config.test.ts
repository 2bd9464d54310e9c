import { describe, expect, it } from "@jest/globals";
import { loadConfig } from "../../lib/platform/config.ts";
import { loadIntakeConfig } from "../../lib/platform/intake-config.ts";

const local = {
  DATABASE_URL: "postgres://u:secret@127.0.0.1:5432/db",
  EMAIL_TRANSPORT: "files",
  OUTBOX_DIRECTORY: "out",
};

describe("the environment", () => {
  it("needs a database and an e-mail transport; the rest has defaults", () => {
    expect(loadConfig(local)).toMatchObject({ LOG_LEVEL: "INFO", RUN_BATCH_SIZE: 1000, DATABASE_PORT: 5432 });
  });

  it("may name an endpoint with IAM instead of a URL", () => {
    const env = {
      DATABASE_HOST: "proxy",
      DATABASE_NAME: "backstop",
      DATABASE_USER: "followups",
      AWS_REGION: "eu-west-1",
      EMAIL_TRANSPORT: "ses",
    };
    expect(loadConfig(env)).toMatchObject({ DATABASE_HOST: "proxy", EMAIL_TRANSPORT: "ses" });
  });

  it("is refused with all its faults at once, and without its values", () => {
    const env = {
      DATABASE_URL: "mysql://u:secret@host/db",
      EMAIL_TRANSPORT: "smtp",
      RUN_BATCH_SIZE: "5000",
      LOG_LEVEL: "LOUD",
    };
    expect(() => loadConfig(env)).toThrow(/DATABASE_URL[\s\S]*LOG_LEVEL[\s\S]*RUN_BATCH_SIZE/);
    expect(() => loadConfig(env)).not.toThrow(/secret/);
  });

  it("is told what a choice needs beside what every environment needs, in one round", () => {
    const both = /EMAIL_TRANSPORT[\s\S]*DATABASE_HOST: is needed where DATABASE_URL is not set/;
    expect(() => loadConfig({})).toThrow(both);
    const wrong = { ...local, EMAIL_TRANSPORT: "pigeon", WEBHOOK_URL: "http://receiver.example/" };
    expect(() => loadConfig(wrong)).toThrow(/EMAIL_TRANSPORT[\s\S]*WEBHOOK_URL: must be https/);
  });

  it.each([
    [{}, /DATABASE_HOST: is needed where DATABASE_URL is not set/],
    [{ ...local, EMAIL_TRANSPORT: "smtp" }, /SMTP_URL: is needed for EMAIL_TRANSPORT=smtp/],
    [{ ...local, OUTBOX_DIRECTORY: undefined }, /OUTBOX_DIRECTORY: is needed for EMAIL_TRANSPORT=files/],
  ])("names what a choice needs", (env, message) => {
    expect(() => loadConfig({ EMAIL_TRANSPORT: "ses", ...env })).toThrow(message);
  });
});

describe("the environment of the intake", () => {
  const INTAKE_DEAD_LETTERS_URL = "https://sqs.eu-west-1.amazonaws.com/111122223333/refused";

  it("needs a queue for what is refused, and a database by its address or by a role", () => {
    const byAddress = { DATABASE_URL: local.DATABASE_URL, INTAKE_DEAD_LETTERS_URL };
    expect(loadIntakeConfig(byAddress)).toMatchObject({ connectionString: local.DATABASE_URL });
    const place = { DATABASE_HOST: "proxy", DATABASE_NAME: "backstop", DATABASE_USER: "run", AWS_REGION: "eu-west-1" };
    expect(loadIntakeConfig({ ...place, INTAKE_DEAD_LETTERS_URL })).toMatchObject({ host: "proxy", port: 5432 });
  });

  it("is refused with all its faults at once, and without its values", () => {
    expect(() => loadIntakeConfig({ LOG_LEVEL: "LOUD" })).toThrow(
      /(?=[\s\S]*INTAKE_DEAD_LETTERS_URL)(?=[\s\S]*LOG_LEVEL)(?=[\s\S]*DATABASE_HOST)/,
    );
    const wrong = { DATABASE_URL: "mysql://u:secret@host/db", INTAKE_DEAD_LETTERS_URL };
    expect(() => loadIntakeConfig(wrong)).toThrow(/DATABASE_URL/);
    expect(() => loadIntakeConfig(wrong)).not.toThrow(/secret/);
  });
});
