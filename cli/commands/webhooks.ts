import { once } from "node:events";
import { Command } from "commander";
import { listWorkspaces, showWorkspace } from "../../lib/operate/workspaces.ts";
import {
  type ConnectionSecret,
  givenConnectionSecrets,
  type LocalConnections,
  TOOLS,
  type Tool,
} from "../../lib/platform/connection-secrets.ts";
import { unsubscribeKeysOf } from "../../lib/platform/unsubscribe-links.ts";
import { loadLocalWebhooksConfig } from "../../lib/platform/webhooks-config.ts";
import type { EventOutcome } from "../../lib/run/apply-messages.ts";
import type { Log } from "../../lib/run/ports.ts";
import type { Database } from "../../lib/store/connect.ts";
import { contentsOf } from "../../prisma/demo/load-demo.ts";
import { newKey, newStandardKey, newToken } from "../connect/connection.ts";
import { bookingWebhook } from "../demo-calendly.ts";
import { leadToBook } from "../demo-facts.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { intakeBus, startLocalWebhooks } from "../local-webhooks.ts";
import { operatorOn } from "../operator.ts";
import { print } from "../print.ts";
import { UsageProblem } from "../problem.ts";
import { folderOption, nonBlank, port } from "../terminal.ts";

const HELP = `
Serves the routes of the function webhooks on 127.0.0.1, with its own code:
  POST /calendly/<workspace id>
  POST /calcom/<workspace id>
  POST /facts/<workspace id>
  GET and POST /unsubscribe/<token>, with UNSUBSCRIBE_KEY

Facts are applied to the database at once, and each outcome is printed. The keys
are made for this start, unless CONNECTION_SECRETS gives them as JSON:
  {"<workspace id>/calendly": {"signingKeys": ["…"]}}

The command prints a signed request to paste into another terminal. Ctrl-C ends
it.

Examples:
  $ npm run backstop -- webhooks --local
  $ npm run backstop -- webhooks --local --port 4100 --workspace "Harbour Homes"`;

interface Options {
  readonly port: number;
  readonly workspace?: string;
  readonly folder: string;
}

/** The command `webhooks`. Throws known errors as Problem. */
export function webhooksCommand(): Command {
  return new Command("webhooks")
    .summary("receive webhooks and posted facts on this machine")
    .description("Receives webhooks of booking tools and posted facts as functions/webhooks.ts does.")
    .requiredOption("--local", "on this machine")
    .option("--port <number>", "0 chooses a free one", port, 0)
    .option("--workspace <name>", "id or name; without it, the first by name", nonBlank)
    .addOption(folderOption("folder of the local database"))
    .addHelpText("after", HELP)
    .action((options: Options) =>
      withExistingDatabase(options.folder, (database, signal) => serve(database, options, signal)),
    );
}

async function serve(database: Database, { port: wanted, workspace: name }: Options, signal: AbortSignal) {
  const operator = operatorOn(database.pool);
  const { workspaces } = await operator.ask(listWorkspaces, {});
  const first = name === undefined ? workspaces[0] : undefined;
  const workspace = first ?? (await operator.ask(showWorkspace, name === undefined ? {} : { workspace: name }));
  const config = loadLocalWebhooksConfig(process.env);
  const connections = config.CONNECTION_SECRETS ?? makeConnections(workspace.id);
  const secretOf = givenConnectionSecrets(connections);
  const secrets = new Map<Tool, ConnectionSecret>();
  for (const tool of TOOLS) {
    const secret = await secretOf(workspace.id, tool).catch(({ message }: Error) => {
      throw new UsageProblem(`CONNECTION_SECRETS: ${message}`);
    });
    if (secret) secrets.set(tool, secret);
  }
  const server = await startLocalWebhooks(
    {
      secrets: secretOf,
      bus: intakeBus(database, (type, outcome) => print(`${type}: ${textOf(outcome)}\n`)),
      unsubscribeKeys: unsubscribeKeysOf(config),
      now: () => new Date(),
      log: onTerminal,
    },
    wanted,
  );
  const others = first ? workspaces.length - 1 : 0;
  const email = await addressToTry(database, workspace.id);
  print(introduction({ url: server.url, workspace, others, secrets, email, now: new Date() }));
  if (!signal.aborted) await once(signal, "abort");
  await server.close();
}

/**
 * A demo lead, so that the example stops something. Other data gives a made-up address, because people paste without
 * reading.
 */
async function addressToTry(database: Database, workspaceId: string): Promise<string> {
  const lead = (await contentsOf(database)) === "demo" ? await leadToBook(database, workspaceId) : undefined;
  return lead?.email ?? "ida@example.com";
}

function textOf(outcome: EventOutcome): string {
  if ("reason" in outcome) return `${outcome.outcome}: ${outcome.reason}`;
  if (outcome.outcome !== "applied") return outcome.outcome;
  const { ended, cancelledTouches, started } = outcome;
  return `applied; ${ended} instances ended, ${cancelledTouches} touches cancelled, ${started} instances started`;
}

const show = (_: string, fields: Readonly<Record<string, unknown>>): void => {
  const { route, status, outcome, reason } = fields;
  print(`${route ?? "no route"}: ${status} ${outcome}${reason === undefined ? "" : `: ${reason}`}\n`);
};
const onTerminal: Log = { info: show, error: show };

/** New secrets for the connections of one workspace. */
const makeConnections = (workspaceId: string): LocalConnections => ({
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
function introduction({ url, workspace, others, secrets, email, now }: Introduced): string {
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
