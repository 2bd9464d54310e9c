import { addressKeys } from "../domain/address.ts";
import type { ClassifiedMail } from "./mail.ts";
import type { InboundText } from "./texts.ts";
import type { TranslatedFact } from "./translation.ts";

/** The facts of a text, in every workspace that it concerns. */
export function factsOfText(
  { number, meaning, eventId }: InboundText,
  receivedAt: Date,
  workspaceIds: readonly string[],
): readonly TranslatedFact[] {
  return workspaceIds.flatMap((workspaceId): readonly TranslatedFact[] => {
    const detail = { workspaceId, eventId, occurredAt: receivedAt.toISOString(), lead: { phone: number } };
    const byText = { ...detail, channel: "sms" } as const;
    if (meaning === "opted_out") return [{ type: "lead.opted_out", detail: byText }];
    const replied: TranslatedFact = { type: "lead.replied", detail };
    // START may also answer a question, so it counts as a reply too.
    const optedIn: TranslatedFact = { type: "lead.opted_in", detail: { ...byText, eventId: `${eventId}:opted_in` } };
    return meaning === "opted_in" ? [optedIn, replied] : [replied];
  });
}

/** The leads that a mail concerns: the lead of a touch, or all leads of an address. */
export type MailOwner =
  | { readonly workspaceId: string; readonly touchId: string; readonly wentToReported: boolean }
  | { readonly workspaceId: string; readonly email: string };

type News = Extract<ClassifiedMail, { readonly kind: "news" }>;

/** The facts of a mail, one for each owner. */
export const factsOfMail = (news: News, owners: readonly MailOwner[]): readonly TranslatedFact[] =>
  owners.map((owner) => factOf(news, owner));

function factOf({ meaning, marks, eventId, occurredAt }: News, owner: MailOwner): TranslatedFact {
  const { workspaceId } = owner;
  const lead = "touchId" in owner ? { touch: owner.touchId } : { email: owner.email };
  const detail = { workspaceId, eventId, occurredAt: occurredAt.toISOString(), lead };
  switch (meaning.kind) {
    case "reply":
      return { type: "lead.replied", detail: { ...detail, lead: { ...lead, ...senderOf(marks.addresses) } } };
    case "opt_out":
      return { type: "lead.opted_out", detail };
    case "complaint":
      return { type: "lead.complained", detail };
    case "bounce": {
      // A report may name another mailbox, to which the recipient forwards. The address itself then still works.
      const isOther = "touchId" in owner && !owner.wentToReported && marks.addresses.length > 0;
      return { type: "lead.bounced", detail: { ...detail, kind: isOther ? "transient" : meaning.bounce } };
    }
    default:
      return meaning satisfies never;
  }
}

/** Other leads with the sender's address have replied too. */
function senderOf([sender = ""]: readonly string[]) {
  const [email] = addressKeys(sender);
  return email === undefined ? {} : { email };
}
