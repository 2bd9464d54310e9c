/**
 * A service that a request needs does not answer, or is misconfigured. The sender must try again. The message names no
 * secret and no personal data.
 */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}

/** The name of an error. Its message may hold a secret or personal data. */
export const errorName = (thrown: unknown): string => (thrown instanceof Error ? thrown.name : String(thrown));

/** `what` did not work because of an error, which it names. */
export const unavailable = (what: string, thrown: unknown): Unavailable =>
  new Unavailable(`${what}: ${errorName(thrown)}`, { cause: thrown });

/** Options of all AWS clients: a service that accepts no connection in this time counts as unavailable. */
export const SDK_OPTIONS = { requestHandler: { connectionTimeout: 2_000 } };
