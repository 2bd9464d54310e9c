import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import {
  connectionSecretName,
  givenConnectionSecrets,
  storedConnectionSecrets,
} from "../../lib/platform/connection-secrets.ts";

const SECRET = { signingKeys: ["a-key"] };

function counted() {
  const lookUps: string[] = [];
  const secrets = storedConnectionSecrets("backstop/dev", async (name) => {
    lookUps.push(name);
    return JSON.stringify(SECRET);
  });
  return { lookUps, secrets };
}

it("requests at the same time cause one look-up", async () => {
  const { lookUps, secrets } = counted();
  const workspaceId = randomUUID();
  const found = await Promise.all(Array.from({ length: 20 }, () => secrets(workspaceId, "calcom")));
  expect(new Set(found.map((secret) => secret?.signingKeys[0]))).toEqual(new Set(["a-key"]));
  expect(lookUps).toEqual([connectionSecretName("backstop/dev", workspaceId, "calcom")]);
});

it("the cache keeps the latest thousand connections, and no more", async () => {
  const { lookUps, secrets } = counted();
  const [first = "", ...others] = Array.from({ length: 1_001 }, () => randomUUID());
  for (const workspaceId of [first, ...others]) await secrets(workspaceId, "calendly");
  expect(lookUps).toHaveLength(1_001);
  for (const workspaceId of others) await secrets(workspaceId, "calendly");
  expect(lookUps).toHaveLength(1_001);
  await secrets(first, "calendly");
  expect(lookUps).toHaveLength(1_002);
});

it("a key of facts that is not one of Standard Webhooks is named, without its value", async () => {
  const secrets = givenConnectionSecrets({ "a/facts": SECRET, "a/calendly": SECRET });
  await expect(secrets("a", "facts")).rejects.toThrow(
    /^the secret a\/facts is not valid: signingKeys: must be whsec_ and base64$/,
  );
  expect(await secrets("a", "calendly")).toMatchObject(SECRET);
  expect(await secrets("b", "calendly")).toBeUndefined();
});
