/**
 * A service that a request needs does not answer, or is misconfigured. The sender must try again. The message names no
 * secret and no personal data.
 */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
