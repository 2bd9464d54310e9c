import { Signer } from "@aws-sdk/rds-signer";
import { describe, expect, it } from "@jest/globals";
import { faultOfToken, type TokenRules } from "../support/lambda/rds-token.ts";

const rules: TokenRules = {
  host: "proxy.example.com",
  port: 5432,
  user: "backstop_run",
  region: "eu-central-1",
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "a secret",
};

async function token(changes: Partial<TokenRules> = {}): Promise<string> {
  const { host, port, user, region, accessKeyId, secretAccessKey } = { ...rules, ...changes };
  const credentials = { accessKeyId, secretAccessKey };
  return await new Signer({ hostname: host, port, username: user, region, credentials }).getAuthToken();
}

describe("the proxy of these tests", () => {
  it("accepts a token of the AWS signer", async () => {
    expect(faultOfToken(await token(), rules, rules.user, Date.now())).toBeUndefined();
  });

  it.each<[string, Partial<TokenRules>]>([
    ["it is for other.example.com:5432", { host: "other.example.com" }],
    ["it is for proxy.example.com:5433", { port: 5433 }],
    ["it is for another user", { user: "postgres" }],
    ["its signature is wrong", { region: "us-east-1" }],
    ["its signature is wrong", { accessKeyId: "AKIDOTHER" }],
    ["its signature is wrong", { secretAccessKey: "another secret" }],
  ])("rejects a token for another target: %s", async (fault, changes) => {
    expect(faultOfToken(await token(changes), rules, rules.user, Date.now())).toBe(fault);
  });

  it("rejects a token that is 15 minutes old, and a password", async () => {
    const made = await token();
    expect(faultOfToken(made, rules, rules.user, Date.now() + 895_000)).toBeUndefined();
    expect(faultOfToken(made, rules, rules.user, Date.now() + 901_000)).toBe("it has expired");
    expect(faultOfToken("let me in", rules, rules.user, Date.now())).toBe("the password is no token");
  });
});
