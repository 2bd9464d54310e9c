import { unsubscribeToken } from "../inbound/unsubscribe-token.ts";
import type { UnsubscribeLinks } from "../run/unsubscribe-links.ts";
import type { Config } from "./config.ts";
import { unsubscribeKeysOf } from "./unsubscribe-keys.ts";

type LinkSettings = Pick<
  Config,
  "EMAIL_UNSUBSCRIBE_URL" | "UNSUBSCRIBE_BASE_URL" | "UNSUBSCRIBE_SECRET_ARN" | "UNSUBSCRIBE_KEY"
>;

/** Links to the user's own page, or else to the stage's; null if the environment has neither. */
export function unsubscribeLinksOf(config: LinkSettings): UnsubscribeLinks | null {
  const { EMAIL_UNSUBSCRIBE_URL: own, UNSUBSCRIBE_BASE_URL: base } = config;
  if (own !== undefined) return { linkFor: ({ id }) => Promise.resolve(own.replaceAll("{touchId}", id)) };
  const keys = unsubscribeKeysOf(config);
  if (base === undefined || !keys) return null;
  return {
    async linkFor({ id: touchId, workspaceId }) {
      const { current } = await keys();
      return `${base}/unsubscribe/${unsubscribeToken({ workspaceId, touchId }, current)}`;
    },
  };
}
