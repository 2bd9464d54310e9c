/** The header that carries the touch id in its mail. */
export const TOUCH_HEADER = "X-Backstop-Touch";
/** The header that carries the delivery id in the mail of a digest. */
export const DIGEST_HEADER = "X-Backstop-Digest";

/** The tags by which an event of SES names the touch and its workspace. */
export const TOUCH_TAG = "backstop-touch";
export const WORKSPACE_TAG = "backstop-workspace";
