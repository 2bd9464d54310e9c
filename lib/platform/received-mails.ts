import { GetObjectCommand, NoSuchKey, S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import type { ReceivedMails } from "../run/facts-of-message.ts";
import { SDK_OPTIONS } from "./unavailable.ts";

const ANSWER_TIMEOUT_MS = 10_000;

/** Headers and reports come first; SES stores mails of up to 40 MB. Also bounds the work on a hostile mail. */
const READ_BYTES = 128 * 1024;

/** Mails that SES stored in a bucket. The client has the function's own region and role. */
export function s3Mails(bucket: string): ReceivedMails {
  // S3 has no checksum of a part of an object.
  const client = new S3Client({ ...SDK_OPTIONS, responseChecksumValidation: "WHEN_REQUIRED" });
  return {
    bucket,
    async read(key) {
      const command = new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=0-${READ_BYTES - 1}` });
      try {
        const { Body } = await client.send(command, { abortSignal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
        return (await Body?.transformToByteArray()) ?? new Uint8Array();
      } catch (thrown) {
        if (thrown instanceof NoSuchKey) return undefined;
        // The range of an empty object.
        if (thrown instanceof S3ServiceException && thrown.name === "InvalidRange") return new Uint8Array();
        throw thrown;
      }
    },
  };
}
