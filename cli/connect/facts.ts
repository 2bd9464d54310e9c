import { Problem } from "../problem.ts";
import { type Connection, connectedSecret, newStandardKey, newToken, storedSecret, storeSecret } from "./connection.ts";

type Say = (line: string) => void;

/** Makes the token and the key of a workspace's route for facts, and shows them once. */
export async function connectFacts(connection: Connection, say: Say): Promise<void> {
  if (await storedSecret(connection)) {
    const { name } = connection.store;
    throw new Problem(
      `the workspace already has a token and a key: add --rotate for new ones. These are in aws secretsmanager get-secret-value --secret-id ${name}`,
    );
  }
  const [token, key] = [newToken(), newStandardKey()];
  await storeSecret(connection, { bearerTokens: [token], signingKeys: [key] });
  say(introduction(connection, token, key));
}

/** Makes a new token and a new key. The former ones stay valid until they are dropped. */
export async function rotateFacts(connection: Connection, say: Say): Promise<void> {
  const { bearerTokens, signingKeys } = await connectedSecret(connection);
  if (bearerTokens.length > 1 || signingKeys.length > 1) {
    throw new Problem("former ones are still valid: let every sender use the new ones, then add --drop-former");
  }
  const [token, key] = [newToken(), newStandardKey()];
  await storeSecret(connection, { bearerTokens: [token, ...bearerTokens], signingKeys: [key, ...signingKeys] });
  say(introduction(connection, token, key));
  say("\nThe former token and key are still valid. Once every sender uses the new ones, add --drop-former.");
}

/** Makes the former token and key invalid. */
export async function dropFormerFacts(connection: Connection, say: Say): Promise<void> {
  const { bearerTokens, signingKeys } = await connectedSecret(connection);
  if (bearerTokens.length < 2 && signingKeys.length < 2) return say("There is no former token or key.");
  await storeSecret(connection, { bearerTokens: bearerTokens.slice(0, 1), signingKeys: signingKeys.slice(0, 1) });
  say("The former token and key are removed. They are invalid within five minutes.");
}

/** Deletes the token and the key. */
export async function disconnectFacts({ store }: Connection, say: Say): Promise<void> {
  await store.remove();
  say(`${store.name} is deleted after seven days. Its token and key are invalid within five minutes.`);
}

const introduction = ({ endpoint, store, workspace }: Connection, token: string, key: string): string => `
${workspace.name} accepts facts, with this token or signed with this key. They are
shown once, and stored in ${store.name}.

  URL     ${endpoint}
  token   ${token}
  key     ${key}

A reply of a lead, to paste into a shell:

curl -sS ${endpoint} -H 'Authorization: Bearer ${token}' \\
  --data-raw '{"type":"lead.replied","eventId":"test-1","occurredAt":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","lead":{"email":"ida@example.com"}}'

Zapier   Webhooks by Zapier → POST: the URL, payload type json, and the header
         Authorization with the value: Bearer <token>
n8n      HTTP Request node → POST: the URL, a JSON body, and Header Auth with the
         name Authorization and the value: Bearer <token>
Own code sign each request with the key, as https://www.standardwebhooks.com says

docs/connect.md lists the facts and the answers.`;
