import type * as z from "zod";

/** Undefined if the text is not JSON. A byte order mark before it is ignored, as RFC 8259 section 8.1 allows. */
export function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body.replace(/^\uFEFF/, ""));
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

const MOST_FAULTS = 20;
const LONGEST_PATH = 100;
const LONGEST_KEY = 40;

/** Names each fault and the expectation, never the value, which may be personal or hostile. */
export function faultsOf(error: z.ZodError): readonly string[] {
  return error.issues.slice(0, MOST_FAULTS).map((issue) => {
    const at = issue.path.join(".").slice(0, LONGEST_PATH);
    const fault = issue.code === "unrecognized_keys" ? `unknown key ${namesOf(issue.keys)}` : issue.message;
    return at === "" ? fault : `${at}: ${fault}`;
  });
}

const namesOf = (keys: readonly string[]): string =>
  keys
    .slice(0, MOST_FAULTS)
    .map((key) => JSON.stringify(key.slice(0, LONGEST_KEY)))
    .join(", ");
