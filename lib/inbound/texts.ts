import * as z from "zod";

/** A text message that a person sent. Its words are not kept. */
export interface InboundText {
  /** The person's number, as the provider writes it. */
  readonly number: string;
  readonly meaning: "opted_out" | "opted_in" | "replied";
  /** The provider's id of our message that it answers, if known. */
  readonly answers: string | undefined;
  readonly eventId: string;
}

/** The message of an SNS notification about a text. AWS End User Messaging SMS, "Example of a two-way SMS message payload". */
export const inboundText = z
  .object({
    originationNumber: z.string().min(1).max(40),
    messageBody: z.string(),
    inboundMessageId: z.string().regex(/^[\w-]{1,100}$/, "must be an id"),
    previousPublishedMessageId: z
      .string()
      .regex(/^[!-~]{1,200}$/)
      .optional()
      .catch(undefined),
  })
  .transform(
    ({ originationNumber, messageBody, inboundMessageId, previousPublishedMessageId }): InboundText => ({
      number: originationNumber,
      meaning: meaningOf(messageBody),
      answers: previousPublishedMessageId,
      eventId: `sms:${inboundMessageId}`,
    }),
  );

/**
 * Words that opt out. The first group may stand with words about what to stop. The second means other things too, as in
 * "cancel Tuesday", so it stands alone. "Required opt-out keywords" of AWS; CTIA Messaging Principles section 5.1.3;
 * 47 CFR 64.1200(a)(10); the default keywords of Twilio and Sinch; and their forms in other languages.
 */
const STOP_WORDS = new Set(
  (
    "STOP STOPALL STOPP UNSUBSCRIBE UNSUB OPTOUT REMOVE ARRET ARRETT ARRETE ARRETEZ ABMELDEN ABMELDUNG DESABONNER " +
    "DESINSCRIPTION AFMELDEN BAJA СТОП ΣΤΟΠ 停止 退订 退訂"
  ).split(" "),
);
const STOP_ALONE = new Set(
  "CANCEL END QUIT REVOKE TD CANCELAR DETENER PARAR SALIR SAIR RET IPTAL הסר الغاء".split(" "),
);
const START_WORDS = new Set("START UNSTOP OPTIN".split(" "));

const POLITE = new Set("PLEASE PLS PLZ THANKS THANK THX YOU ME NOW BITTE MERCI SVP POR FAVOR".split(" "));
/**
 * Words that people write before they ask to stop. Not before an opt-in: there a text must be nothing but the keyword.
 */
const OPENINGS = new Set("OK OKAY HI HELLO HEY JUST".split(" "));
const ABOUT_MESSAGES = new Set(
  (
    "ALL THE THIS THESE IT YOUR MY TO FROM AU AND LIST NUMBER SENDING TEXTING MESSAGING CONTACTING CALLING WRITING " +
    "EMAILING SPAMMING TEXT TEXTS MESSAGE MESSAGES SMS EMAILS SPAM PUB"
  ).split(" "),
);
/** The sender's short number, which is part of the instruction in some countries: `STOP 36180`. */
const SHORT_NUMBER = /^\d{5,6}$/;

/** Requests without a keyword, in the form of `wordsOf`. They are valid as well: 47 CFR 64.1200(a)(10). */
const REQUESTS =
  /^((DO NOT|DONT) (TEXT|MESSAGE|CONTACT)( AGAIN| ANYMORE| ANY MORE)?|TAKE OFF (YOUR|THE|THIS) LIST|NO MORE (TEXTS|MESSAGES|SMS)|LEAVE ALONE|I WANT TO OPTOUT)$/;

/** `STOP` and its variants opt out, `START` opts in; anything else, `HELP` and `YES` included, is a reply. */
export function meaningOf(text: string): InboundText["meaning"] {
  const words = wordsOf(text);
  if (asksToStop(words)) return "opted_out";
  const [first = "", ...others] = words;
  return others.length === 0 && START_WORDS.has(first) ? "opted_in" : "replied";
}

function asksToStop(words: readonly string[]): boolean {
  const [first = "", ...others] = words.slice(words.findIndex((word) => !OPENINGS.has(word)));
  if (STOP_WORDS.has(first)) return others.every(isAboutMessages);
  return (words.length === 1 && STOP_ALONE.has(first)) || REQUESTS.test(words.join(" "));
}

const isAboutMessages = (word: string): boolean =>
  ABOUT_MESSAGES.has(word) || STOP_WORDS.has(word) || SHORT_NUMBER.test(word);

/** Longer texts are no keyword. */
const LONGEST_KEYWORD = 100;

/**
 * Words in capitals, without polite ones, accents, punctuation and invisible characters. `OPT OUT` and `OPT-OUT` are
 * one word. None of a long text.
 */
function wordsOf(text: string): readonly string[] {
  if (text.length > LONGEST_KEYWORD) return [];
  const plain = text
    .normalize("NFKD")
    .replaceAll(/[\p{M}\p{Cf}'’]/gu, "")
    .toUpperCase();
  const words = (plain.match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !POLITE.has(word));
  return words
    .join(" ")
    .replaceAll(/\b(OPT) (OUT|IN)\b/g, "$1$2")
    .split(" ");
}
