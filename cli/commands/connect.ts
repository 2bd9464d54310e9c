import { Argument, Command, Option } from "commander";
import { showWorkspace } from "../../lib/operate/workspaces.ts";
import { connectionSecretName, TOOLS, type Tool } from "../../lib/platform/connection-secrets.ts";
import { namesOf } from "../../lib/platform/names.ts";
import { checksText, requirePassed } from "../check-results.ts";
import type { ConnectableTool, Scope } from "../connect/booking-tool.ts";
import { connectableCalcom } from "../connect/calcom.ts";
import { connectableCalendly } from "../connect/calendly.ts";
import type { Connection } from "../connect/connection.ts";
import { checkConnection } from "../connect/connection-checks.ts";
import { connectionStore } from "../connect/connection-store.ts";
import { connectFacts, disconnectFacts, dropFormerFacts, rotateFacts } from "../connect/facts.ts";
import { webhooksUrlOf } from "../connect/stage-url.ts";
import { connectBookingTool, disconnectBookingTool, dropFormerKey } from "../connect/subscribe.ts";
import { withOperator } from "../operator.ts";
import { print } from "../print.ts";
import { UsageProblem } from "../problem.ts";
import { askSecret, nonBlank } from "../terminal.ts";

const HELP = `
calendly and calcom: creates the webhook subscription of the workspace through the
tool's API, and stores the key that signs webhooks in Secrets Manager. The API
token comes from CALENDLY_API_TOKEN or CALCOM_API_KEY, else from the secret, else
the command asks for it. It is stored in the secret, because --check and the
sweep of the calendar need it. CALCOM_API_URL names the API of a Cal.com that you
host, or of another region. --event-type names what people can book; without it,
the command lists the event types.

facts: makes a token and a key for other systems, and shows them once.

A command that was interrupted is simply repeated. Every connect ends with the
checks of --check. Exits with 1 if one fails.

The stage needs "webhooks" in cdk.json. Region and credentials come from
AWS_REGION, AWS_PROFILE or the shared AWS configuration files;
infra/policies/connect.json lists the permissions.

Examples:
  $ npm run backstop -- connect calendly --stage production --workspace "Harbour Homes"
  $ npm run backstop -- connect calcom --stage production --workspace "Harbour Homes" --scope organization
  $ npm run backstop -- connect calendly --stage production --workspace "Harbour Homes" --event-type "Intro call"
  $ npm run backstop -- connect facts --stage production --workspace "Harbour Homes"
  $ npm run backstop -- connect calendly --stage production --workspace "Harbour Homes" --check
  $ npm run backstop -- connect calendly --stage production --workspace "Harbour Homes" --rotate`;

interface Options {
  readonly stage: string;
  readonly workspace?: string;
  readonly scope?: Scope;
  readonly eventType?: string;
  readonly check?: true;
  readonly rotate?: true;
  readonly dropFormer?: true;
  readonly remove?: true;
}

/** How the command waits for a new key; tests do not. */
interface Waits {
  readonly wait?: (ms: number) => Promise<unknown>;
}

/** The command `connect`. Throws known errors as Problem. */
export function connectCommand(waiting: Waits = {}): Command {
  return new Command("connect")
    .summary("connect a workspace with Calendly, Cal.com, or systems that post facts")
    .description("Connects a workspace of a stage with a tool, so that its facts arrive.")
    .addArgument(new Argument("<tool>", "the tool").choices(TOOLS))
    .requiredOption("--stage <name>", "the deployed stage; on your machine, use webhooks --local", nonBlank)
    .option("--workspace <id or name>", "may be left out if there is only one", nonBlank)
    .addOption(
      new Option("--scope <scope>", "whose meetings: of the organization, or of the token's user").choices([
        "organization",
        "user",
      ]),
    )
    .addOption(
      new Option("--event-type <id, page or name>", "texts offer the free times of this event type")
        .argParser(nonBlank)
        .conflicts(["check", "dropFormer", "remove"]),
    )
    .addOption(new Option("--check", "only check the connection").conflicts(["rotate", "dropFormer", "remove"]))
    .addOption(new Option("--rotate", "make a new key; the former one stays valid").conflicts(["dropFormer", "remove"]))
    .addOption(new Option("--drop-former", "make the former key invalid").conflicts(["remove"]))
    .option("--remove", "end the connection")
    .addHelpText("after", HELP)
    .action(async (tool: Tool, options: Options) => {
      if (tool === "facts" && (options.scope || options.eventType)) {
        throw new UsageProblem("--scope and --event-type are for calendly and calcom only");
      }
      const connection = await connectionOf(tool, options);
      await (tool === "facts"
        ? onFacts(connection, options)
        : onTool(connection, CONNECTABLE_TOOLS[tool], options, waiting));
      if (options.remove) return;
      const results = await checkConnection(connection, tool === "facts" ? undefined : CONNECTABLE_TOOLS[tool]);
      print(`\n${checksText(results)}`);
      requirePassed(results);
    });
}

const CONNECTABLE_TOOLS: Readonly<Record<Exclude<Tool, "facts">, ConnectableTool>> = {
  calendly: connectableCalendly,
  calcom: connectableCalcom,
};

async function connectionOf(tool: Tool, { stage, workspace: name }: Options): Promise<Connection> {
  const asked = name === undefined ? {} : { workspace: name };
  const workspace = await withOperator({ stage, folder: "" }, (operator) => operator.ask(showWorkspace, asked));
  const url = await webhooksUrlOf(stage);
  const secretName = connectionSecretName(namesOf(stage).secretsPrefix, workspace.id, tool);
  return {
    tool,
    stage,
    workspace,
    endpoint: `${url}/${tool}/${workspace.id}`,
    store: connectionStore(stage, secretName),
  };
}

const say = (line: string): void => print(`${line}\n`);

async function onFacts(connection: Connection, { check, rotate, dropFormer, remove }: Options): Promise<void> {
  if (check) return;
  if (remove) return await disconnectFacts(connection, say);
  if (dropFormer) return await dropFormerFacts(connection, say);
  await (rotate ? rotateFacts(connection, say) : connectFacts(connection, say));
}

async function onTool(
  connection: Connection,
  tool: ConnectableTool,
  { check, rotate, dropFormer, remove, scope, eventType }: Options,
  waiting: Waits,
): Promise<void> {
  const { name, tokenPlace, tokenVariable } = tool;
  const question = `API token of ${name} (${tokenPlace}). It is stored in ${connection.store.name}:`;
  const askToken = () => askSecret(question, `set ${tokenVariable} to a token (${tokenPlace})`);
  if (check) return;
  if (remove) return await disconnectBookingTool(connection, tool, { askToken, say });
  if (dropFormer) return await dropFormerKey(connection, tool, { askToken, say });
  await connectBookingTool(connection, tool, { scope, eventType, rotate: rotate === true, askToken, say, ...waiting });
}
