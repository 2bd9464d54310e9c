import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SESv2Client, SendEmailCommand } from "@aws-sdk/client-sesv2";
import nodemailer from "nodemailer";
import * as z from "zod";
import { addressToSend, readAddress } from "../domain/address.ts";
import type { MessageChannel } from "../run/delivery-ports.ts";
import type { DigestSender } from "../run/digest-ports.ts";
import type { SendOutcome } from "../run/port-types.ts";
import { oneAttempt, outcomeOfFault, PROVIDER_LIMITS, type Service, type TimeLimits, within } from "./aws-request.ts";
import { digestMailOf, type Mail, mailOf, type Unsubscribe } from "./mail.ts";

/** One transport for all that goes out by e-mail. */
export interface EmailChannel extends MessageChannel {
  readonly digests: DigestSender;
}

export interface EmailOptions {
  readonly limits?: TimeLimits;
  readonly unsubscribe?: Unsubscribe;
}

/** E-mail over SMTP, such as `smtps://user:password@host:465`. Connections are kept between sends. */
export function smtpChannel(
  url: string,
  { limits = PROVIDER_LIMITS, unsubscribe = {} }: EmailOptions = {},
): EmailChannel {
  const { hostname, port, protocol, username, password } = new URL(url);
  const transport = nodemailer.createTransport({
    pool: true,
    host: hostname,
    port: Number(port) || (protocol === "smtps:" ? 465 : 587),
    secure: protocol === "smtps:",
    ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: limits.connectMs,
    greetingTimeout: limits.connectMs,
    socketTimeout: limits.answerMs,
  });
  return emailChannel((mail) => transport.sendMail(mail), outcomeOfSmtp, unsubscribe);
}

/**
 * E-mail through Amazon SES, in the function's own region and with its own role. SES gives a Message-ID of its own in
 * place of ours, made of the id that it answers and the region; nodemailer's transport says it as the receiver sees it.
 */
export function sesChannel({ limits = PROVIDER_LIMITS, unsubscribe = {} }: EmailOptions = {}): EmailChannel {
  const client = new SESv2Client(oneAttempt(limits));
  const sesClient = {
    config: client.config,
    async send(command: SendEmailCommand) {
      try {
        return await client.send(command, within(limits));
      } catch (cause) {
        // nodemailer writes a code of its own into the errors that it passes on.
        throw new Error("SES did not take the mail", { cause });
      }
    },
  };
  const transport = nodemailer.createTransport({ SES: { sesClient, SendEmailCommand } });
  return emailChannel(
    async (mail) => {
      const { response, messageId } = await transport.sendMail(mail);
      if (!response) throw new Error("the answer names no message");
      return { messageId };
    },
    (thrown) => outcomeOfFault(thrown instanceof Error ? (thrown.cause ?? thrown) : thrown, SES),
    unsubscribe,
  );
}

/** The exceptions of SendEmail, after the API reference of SES v2. Limits and pauses pass. */
const SES: Service = {
  name: "ses",
  refusals: new Set([
    "BadRequestException",
    "MessageRejected",
    "NotFoundException",
    "MailFromDomainNotVerifiedException",
  ]),
  nothingDone: new Set(),
};

/** E-mail as files, one `.eml` a mail, for a machine without a mail server. The same touch writes the same file. */
export function fileChannel(directory: string, { unsubscribe = {} }: EmailOptions = {}): EmailChannel {
  const composer = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: "unix" });
  const write = async (mail: Mail, id: string) => {
    const { message, messageId } = await composer.sendMail(mail);
    await mkdir(directory, { recursive: true });
    const name = `${id}.eml`;
    // Renamed into place, so that nobody ever reads half a mail.
    await writeFile(join(directory, `${name}.part`), z.instanceof(Buffer).parse(message));
    await rename(join(directory, `${name}.part`), join(directory, name));
    return { messageId };
  };
  return emailChannel(write, outcomeOfSmtp, unsubscribe);
}

/** What is not exactly one address is never sent to: nodemailer would read several out of it. */
const UNDELIVERABLE = { kind: "refused", reason: "undeliverable_address" } as const;

/** `sendMail` answers the Message-ID as the receiver sees it. */
function emailChannel(
  sendMail: (mail: Mail, id: string) => Promise<{ readonly messageId: string }>,
  outcomeOf: (thrown: unknown) => SendOutcome,
  unsubscribe: Unsubscribe,
): EmailChannel {
  const send = async (mail: Mail, id: string): Promise<SendOutcome> => {
    try {
      const { messageId } = await sendMail(mail, id);
      return { kind: "accepted", providerId: messageId };
    } catch (thrown) {
      return outcomeOf(thrown);
    }
  };
  return {
    async send(touch) {
      if (!touch.email) return { kind: "refused", reason: "no_email" };
      const to = addressToSend(touch.email);
      if (to === undefined) return UNDELIVERABLE;
      return send(mailOf(touch, to, unsubscribe), touch.id);
    },
    digests: {
      async send(digest, receiver) {
        const to = readAddress(receiver);
        return "fault" in to ? UNDELIVERABLE : send(digestMailOf(digest, to.address), digest.id);
      },
    },
  };
}

const faultSchema = z.looseObject({
  code: z.string().catch("no_answer"),
  timeoutType: z.string().optional().catch(undefined),
  syscall: z.string().optional().catch(undefined),
  responseCode: z.number().optional().catch(undefined),
  response: z.string().optional().catch(undefined),
});

/** Faults that come before any mail can have left: no address, no connection, no greeting, no login. */
const BEFORE_THE_MAIL = new Set([
  "EDNS",
  "ETLS",
  "EAUTH",
  "ENOAUTH",
  "EOAUTH2",
  "EPROXY",
  "ECONFIG",
  "CONNECT_TIMEOUT",
  "GREETING_TIMEOUT",
  "UPGRADE_TIMEOUT",
]);

/**
 * Answers that ask for less: 421, the service is closing the channel (RFC 5321 section 4.2.2), or, after RFC 3463, that it
 * takes no messages at the moment (4.3.2), that mail is congested (4.4.5), or that the receiver's policy is against more
 * of it now (4.7.z, which tells rate limits and greylisting).
 */
const THROTTLED = /^(421[ -]|4\d\d[ -]4\.(3\.2|4\.5|7\.\d{1,3})(\s|$))/;

/**
 * An answer decides, after RFC 5321 section 4.2.1: 4yz is passing, 5yz for good, unless it refuses our login and not the
 * mail. Without such an answer the mail may have gone out, unless the fault is one that comes before any can have.
 */
function outcomeOfSmtp(thrown: unknown): SendOutcome {
  const { code, timeoutType = "", syscall, responseCode = 0, response = "" } = faultSchema.parse(thrown);
  const neverLeft = syscall === "connect" || BEFORE_THE_MAIL.has(code) || BEFORE_THE_MAIL.has(timeoutType);
  if (responseCode >= 500 && !neverLeft) return { kind: "refused", reason: `smtp_${responseCode}` };
  if (responseCode >= 400) {
    const reason = `smtp_${responseCode}`;
    if (neverLeft || !THROTTLED.test(response)) return { kind: "retry", reason };
    return { kind: "retry", reason, throttled: { retryAfterMs: null } };
  }
  if (code === "EENVELOPE") return { kind: "refused", reason: "invalid_address" };
  return { kind: neverLeft ? "retry" : "unknown", reason: (timeoutType || code).toLowerCase() };
}
