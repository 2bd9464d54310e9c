import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import nodemailer from "nodemailer";
import * as z from "zod";
import type { SendOutcome } from "../run/channel-ports.ts";
import { type EmailChannel, type EmailOptions, emailChannel, type Mail } from "./mail.ts";

/** Writes each mail to an `.eml` file, for a machine without a mail server. The same touch writes the same file. */
export function fileChannel(directory: string, { unsubscribeMailto }: EmailOptions = {}): EmailChannel {
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
  }, unsubscribeMailto);
}

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
