import * as z from "zod";
import type { About } from "../inbound/booking-facts.ts";
import { translateCalcom } from "../inbound/calcom.ts";
import { translateCalendly } from "../inbound/calendly.ts";
import { jsonOf } from "../inbound/json.ts";
import { readPostedFacts } from "../inbound/posted-facts.ts";
import { type BusEvent, type Translation, unreadableWebhook } from "../inbound/translation.ts";
import type { ConnectionSecret, Tool } from "./connection-secrets.ts";
import { type HttpRequest, jsonAnswer } from "./http.ts";
import type { Handled, Route, WebhookPorts } from "./route.ts";
import { type Verify, verifyCalcom, verifyCalendly, verifyFacts } from "./signatures.ts";

/** A route that puts signed facts on the bus. Its argument is a workspace id. */
function signedRoute(sender: Sender): Route {
  return {
    methods: ["POST"],
    async handle(request, argument, ports) {
      const workspaceId = argument.toLowerCase();
      if (!z.guid().safeParse(workspaceId).success) return unknownWorkspace(sender.tool);
      return { workspaceId, ...(await receive(sender, request, workspaceId, ports)) };
    },
  };
}

interface Sender {
  readonly tool: Tool;
  readonly verify: Verify;
  /** The payload is undefined if the body is not JSON. */
  readonly read: (payload: unknown, about: About, body: Buffer) => Reading;
}

/** The facts of a payload, and the answer once the bus has accepted them. */
interface Reading extends Handled {
  readonly facts: readonly BusEvent[];
}

/** After a wrong signature, a secret this old is read again, so that a new key works at once. Bounds the look-ups. */
export const REFRESH_AFTER_MS = 30_000;

async function receive(
  { tool, verify, read }: Sender,
  request: HttpRequest,
  workspaceId: string,
  { secrets, bus, now }: WebhookPorts,
): Promise<Handled> {
  const receivedAt = now();
  const secret = await secrets(workspaceId, tool);
  if (!secret) return unknownWorkspace(tool);
  const isValid = (known: ConnectionSecret | undefined) => known !== undefined && verify(request, known, receivedAt);
  if (!isValid(secret) && !isValid(await secrets(workspaceId, tool, REFRESH_AFTER_MS))) return rejected();
  const payload = jsonOf(request.body.toString());
  const { facts, ...handled } = read(payload, { workspaceId, receivedAt }, request.body);
  if (facts.length > 0) await bus.put(facts);
  return handled;
}

const unknownWorkspace = (tool: Tool): Handled => ({
  outcome: "unknown",
  answer: jsonAnswer(404, { error: `no workspace with this id is connected with ${tool}` }),
});

/** Says nothing about why: only the holder of the key could use it. */
const rejected = (): Handled => ({
  outcome: "rejected_signature",
  answer: jsonAnswer(401, { error: "the signature or token is missing, wrong or too old" }),
});

/** Webhooks of Calendly. */
export const CALENDLY = signedRoute({
  tool: "calendly",
  verify: verifyCalendly,
  read: readingBy("calendly", translateCalendly),
});

/** Webhooks of Cal.com. */
export const CALCOM = signedRoute({ tool: "calcom", verify: verifyCalcom, read: readingBy("calcom", translateCalcom) });

/** Facts that other systems post. */
export const FACTS = signedRoute({ tool: "facts", verify: verifyFacts, read: readFacts });

function readingBy(tool: Tool, translate: (payload: unknown, about: About) => Translation): Sender["read"] {
  return (payload, about, body) => {
    const translation = translate(payload, about);
    if (translation.kind === "fault") {
      const { reason } = translation;
      const kept = unreadableWebhook({ workspaceId: about.workspaceId, tool, reason }, body);
      return { facts: [kept], outcome: "faulty", reason, answer: jsonAnswer(200, { accepted: 0, unreadable: reason }) };
    }
    if (translation.kind === "ignored") {
      const { reason } = translation;
      return { facts: [], outcome: "ignored", reason, answer: jsonAnswer(200, { accepted: 0, ignored: reason }) };
    }
    const { facts } = translation;
    return { facts, outcome: "accepted", accepted: facts.length, answer: jsonAnswer(200, { accepted: facts.length }) };
  };
}

/** More would take longer than senders wait. */
const MOST_FACTS = 100;

/** 200 if all facts are accepted, 207 if some are, 400 if none is. A bad fact never delays a good one. */
function readFacts(payload: unknown, about: About): Reading {
  if (payload === undefined) {
    const error = "the body is not JSON; send it as application/json in UTF-8, not compressed";
    return { facts: [], outcome: "faulty", reason: error, answer: jsonAnswer(400, { error }) };
  }
  if (Array.isArray(payload) && payload.length > MOST_FACTS) {
    const error = `has ${payload.length} facts; at most ${MOST_FACTS} are allowed in one request`;
    return { facts: [], outcome: "too_large", answer: jsonAnswer(413, { error }) };
  }
  const posted = readPostedFacts(payload, about);
  const facts = posted.flatMap((one) => ("fact" in one ? one.fact : []));
  const [accepted, refused] = [facts.length, posted.length - facts.length];
  const reports = posted.map((one, index) =>
    "fact" in one
      ? { index, outcome: "accepted", ...(one.warnings.length > 0 && { warnings: one.warnings }) }
      : { index, outcome: "refused", faults: one.faults },
  );
  const status = refused === 0 ? 200 : accepted === 0 ? 400 : 207;
  return {
    facts,
    outcome: refused === 0 ? "accepted" : "faulty",
    accepted,
    refused,
    answer: jsonAnswer(status, { accepted, refused, facts: reports }),
  };
}
