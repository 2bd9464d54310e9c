import type { ConnectionSecret, LocalConnections, Tool } from "../lib/platform/connection-secrets.ts";
import { newKey, newStandardKey, newToken } from "./connect/connection.ts";
import { bookingWebhook } from "./demo-calendly.ts";

/** New secrets for the connections of one workspace. */
export const makeConnections = (workspaceId: string): LocalConnections => ({
  [`${workspaceId}/calendly`]: { signingKeys: [newKey()] },
  [`${workspaceId}/calcom`]: { signingKeys: [newKey()] },
  [`${workspaceId}/facts`]: { signingKeys: [newStandardKey()], bearerTokens: [newToken()] },
});

interface Introduced {
  readonly url: string;
  readonly workspace: { readonly id: string; readonly name: string };
  /** The number of other workspaces that could have been chosen. */
  readonly others: number;
  readonly secrets: ReadonlyMap<Tool, ConnectionSecret>;
  /** The invitee of the example. */
  readonly email: string;
  readonly now: Date;
}

/** The addresses and keys, and a signed request that works when it is pasted into a shell. */
export function introduction({ url, workspace, others, secrets, email, now }: Introduced): string {
  const { id, name } = workspace;
  const lines = [...secrets].flatMap(([tool, { signingKeys, bearerTokens }]) => [
    `  ${url}/${tool}/${id}`,
    ...signingKeys.map((one) => `    signing key   ${one}`),
    ...bearerTokens.map((one) => `    bearer token  ${one}`),
  ]);
  const [signingKey] = secrets.get("calendly")?.signingKeys ?? [];
  const example = signingKey === undefined ? "" : exampleOf(`${url}/calendly/${id}`, { signingKey, email, now });
  const choice = others > 0 ? ` This is the first of ${others + 1} workspaces: --workspace chooses another.` : "";
  return `Webhooks of ${name}. Ctrl-C ends.${choice}\n\n${lines.join("\n")}\n${example}\n`;
}

type Example = Pick<Introduced, "email" | "now"> & { readonly signingKey: string };

const exampleOf = (address: string, example: Example): string => `
A booking of Calendly for ${example.email}, to paste into another terminal:

${requestOf(address, example)}
`;

function requestOf(address: string, { signingKey, email, now }: Example): string {
  return `body='${bookingWebhook(email, now)}'
t=$(date +%s)
v1=$(printf '%s' "$t.$body" | openssl dgst -sha256 -hmac '${signingKey}' -r | cut -d' ' -f1)
curl -sS -H "Calendly-Webhook-Signature: t=$t,v1=$v1" --data-raw "$body" ${address}`;
}
