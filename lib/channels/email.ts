import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SESv2Client, SendEmailCommand } from "@aws-sdk/client-sesv2";
import nodemailer from "nodemailer";
import * as z from "zod";
import { addressToSend, readAddress } from "../domain/address.ts";
import { isSender } from "../domain/sender.ts";
import type { DigestSender, MessageChannel, SendOutcome } from "../run/channel-ports.ts";
import { oneAttempt, outcomeOfFault, PROVIDER_LIMITS, type TimeLimits, within } from "./aws-request.ts";
import { digestMailOf, type Mail, mailOf, type Unsubscribe } from "./mail.ts";
import { SES } from "./ses-answers.ts";

/** One transport for both touches and digests. */
export interface EmailChannel extends MessageChannel {
  readonly digests: DigestSender;
}

export interface EmailOptions {
  readonly limits?: TimeLimits;
  readonly unsubscribe?: Unsubscribe;
}

/**
 * E-mail through Amazon SES, in the function's own region and with its own role. SES replaces our Message-ID with one
 * built from its response id and the region. nodemailer returns it in the form that the receiver sees.
 */
export function sesChannel({ limits = PROVIDER_LIMITS, unsubscribe = {} }: EmailOptions = {}): EmailChannel {
  const client = new SESv2Client(oneAttempt(limits));
  const sesClient = {
    config: client.config,
    async send(command: SendEmailCommand) {
      try {
        return await client.send(command, within(limits));
      } catch (cause) {
        // Wrapped because nodemailer overwrites the `code` of errors that it passes on.
        throw new Error("SES did not take the mail", { cause });
      }
    },
  };
  const transport = nodemailer.createTransport({ SES: { sesClient, SendEmailCommand } });
  return emailChannel(async (mail) => {
    try {
      const { response, messageId } = await transport.sendMail(mail);
      if (!response) return { kind: "unknown", reason: "ses_no_message_id" };
      return { kind: "accepted", providerId: messageId };
    } catch (thrown) {
      return outcomeOfFault(thrown instanceof Error ? (thrown.cause ?? thrown) : thrown, SES);
    }
  }, unsubscribe);
}

/** Writes each mail to an `.eml` file, for a machine without a mail server. The same touch writes the same file. */
export function fileChannel(directory: string, { unsubscribe = {} }: EmailOptions = {}): EmailChannel {
  const composer = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: "unix" });
  const write = async (mail: Mail, id: string) => {
    const { message, messageId } = await composer.sendMail(mail);
    await mkdir(directory, { recursive: true });
    const name = `${id}.eml`;
    // Rename into place so that readers never see a partial mail.
    await writeFile(join(directory, `${name}.part`), z.instanceof(Buffer).parse(message));
    await rename(join(directory, `${name}.part`), join(directory, name));
    return messageId;
  };
  return emailChannel(async (mail, id) => {
    try {
      return { kind: "accepted", providerId: await write(mail, id) };
    } catch (thrown) {
      return outcomeOfFile(thrown);
    }
  }, unsubscribe);
}

/** Only exactly one address is accepted: nodemailer would parse other text into several. */
const UNDELIVERABLE = { kind: "refused", reason: "undeliverable_address", notAsked: true } as const;

const fileFault = z.looseObject({
  code: z
    .string()
    .regex(/^E[A-Z]{2,20}$/)
    .catch("EIO"),
  syscall: z.string().optional(),
});

/** An error from a system call means the directory is unusable; any other error means this mail is invalid. */
function outcomeOfFile(thrown: unknown): SendOutcome {
  const { code, syscall } = fileFault.parse(thrown);
  if (syscall === undefined) return { kind: "refused", reason: "invalid_mail" };
  return { kind: "channel_down", scope: "channel", reason: `outbox_${code.toLowerCase()}` };
}

/** Builds an e-mail channel from a function that sends one mail. */
export function emailChannel(
  sendMail: (mail: Mail, id: string) => Promise<SendOutcome>,
  unsubscribe: Unsubscribe,
): EmailChannel {
  const send = async (from: string, mail: () => Mail, id: string): Promise<SendOutcome> => {
    if (!isSender(from)) return { kind: "channel_down", scope: "workspace", reason: "invalid_sender" };
    return sendMail(mail(), id);
  };
  return {
    async send(touch) {
      const { email, from, id } = touch;
      if (!email) return { kind: "refused", reason: "no_email", notAsked: true };
      const to = addressToSend(email);
      if (to === undefined) return UNDELIVERABLE;
      return send(from, () => mailOf(touch, to, unsubscribe), id);
    },
    digests: {
      async send(digest, receiver) {
        const to = readAddress(receiver);
        if ("fault" in to) return UNDELIVERABLE;
        return send(digest.from, () => digestMailOf(digest, to.address), digest.id);
      },
    },
  };
}
