import { describe, expect, it } from "@jest/globals";
import { loadConfig } from "../../lib/platform/config.ts";

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

  it.each([
    [{}, /DATABASE_HOST: is needed where DATABASE_URL is not set/],
    [{ ...local, EMAIL_TRANSPORT: "smtp" }, /SMTP_URL: is needed for EMAIL_TRANSPORT=smtp/],
    [{ ...local, OUTBOX_DIRECTORY: undefined }, /OUTBOX_DIRECTORY: is needed for EMAIL_TRANSPORT=files/],
  ])("names what a choice needs", (env, message) => {
    expect(() => loadConfig({ EMAIL_TRANSPORT: "ses", ...env })).toThrow(message);
  });
});
