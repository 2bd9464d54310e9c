import type { Fact } from "../inbound/facts.ts";
import { factsOfMail, factsOfText, type MailOwner } from "../inbound/inbound-facts.ts";
import type { MailMarks } from "../inbound/mail.ts";
import { type IntakeMessage, parsedFacts, parseMessage, type StoredMail } from "../inbound/parse-message.ts";
import type { InboundText } from "../inbound/texts.ts";

/** Finds the leads of a message that names none. */
export interface InboundOwners {
  knowsTouch(workspaceId: string, touchId: string): Promise<boolean>;
  /** The ids of the workspaces that texted the number. */
  ofText(text: InboundText): Promise<readonly string[]>;
  /** `own_mail`: the mail is a copy of one that our side wrote. */
  ofMail(marks: MailMarks): Promise<readonly MailOwner[] | "own_mail">;
}

/** Mails that people sent, in a bucket. */
export interface ReceivedMails {
  readonly bucket: string;
  /** The start of a mail, with its header. Undefined if it has expired. Throws transient errors. */
  read(key: string): Promise<Uint8Array | undefined>;
}

interface FactsPorts {
  readonly owners: InboundOwners;
  readonly mails?: ReceivedMails;
}

/** A message whose leads are known. */
type Resolved = Extract<IntakeMessage, { readonly kind: "facts" | "ignored" | "refused" }>;

/** Parses a message, and finds the leads of one that names none. Throws transient errors. */
export async function factsOfMessage(body: string, ports: FactsPorts): Promise<Resolved> {
  const message = parseMessage(body);
  switch (message.kind) {
    case "facts":
    case "ignored":
    case "refused":
      return message;
    case "touch_facts":
      return await ofKnownTouches(message.facts, ports);
    case "text":
      return await ofText(message.text, message.receivedAt, ports);
    case "mail":
      return await ofMail(message.mail, ports);
    default:
      return message satisfies never;
  }
}

/** Touches of other stages share the events of an account, and erased touches are gone. Neither needs a person. */
async function ofKnownTouches(facts: readonly Fact[], { owners }: FactsPorts): Promise<Resolved> {
  for (const fact of facts) {
    const touchId = "touchId" in fact ? fact.touchId : "lead" in fact ? fact.lead.touch : undefined;
    if (touchId !== undefined && !(await owners.knowsTouch(fact.workspaceId, touchId))) return ignored("unknown_touch");
  }
  return { kind: "facts", facts };
}

async function ofText(text: InboundText, receivedAt: Date, { owners }: FactsPorts): Promise<Resolved> {
  const workspaceIds = await owners.ofText(text);
  if (workspaceIds.length === 0) return ignored("unknown_number");
  return parsedFacts(factsOfText(text, receivedAt, workspaceIds), "facts");
}

async function ofMail(stored: StoredMail, { owners, mails }: FactsPorts): Promise<Resolved> {
  if (stored.bucket !== mails?.bucket) return { kind: "refused", reason: "not an object of INBOUND_MAIL_BUCKET" };
  const raw = await mails.read(stored.key);
  if (raw === undefined) return ignored("expired_mail");
  // Most batches contain no mail.
  const { classifyMail } = await import("../inbound/mail.ts");
  const news = await classifyMail(raw, stored.receivedAt);
  if (news.kind === "ignored") return news;
  const found = await owners.ofMail(news.marks);
  if (found === "own_mail") return ignored("own_mail");
  if (found.length === 0) return ignored("unknown_sender");
  return parsedFacts(factsOfMail(news, found), "facts");
}

const ignored = (reason: string): Resolved => ({ kind: "ignored", reason });
