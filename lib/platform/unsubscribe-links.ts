import { jsonOf } from "../inbound/json.ts";
import { type UnsubscribeKeys, unsubscribeKeys, unsubscribeToken } from "../inbound/unsubscribe-link.ts";
import type { UnsubscribeLinks } from "../run/unsubscribe-links.ts";
import type { Config } from "./config.ts";
import { secretByArn } from "./secrets.ts";
import { Unavailable, unavailable } from "./unavailable.ts";

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

/** Returns keys that were fetched at most `maxAgeMs` ago; by default five minutes. Throws Unavailable. */
export type ReadUnsubscribeKeys = (maxAgeMs?: number) => Promise<UnsubscribeKeys>;

interface KeySource {
  /** The ARN of the stage's secret. */
  readonly UNSUBSCRIBE_SECRET_ARN?: string | undefined;
  /** Takes its place on a machine of a developer. */
  readonly UNSUBSCRIBE_KEY?: string | undefined;
}

/** Undefined if the environment names neither. */
export function unsubscribeKeysOf(env: KeySource): ReadUnsubscribeKeys | undefined {
  const { UNSUBSCRIBE_SECRET_ARN: arn, UNSUBSCRIBE_KEY: current } = env;
  if (arn === undefined) return current === undefined ? undefined : () => Promise.resolve({ current, former: [] });
  const secret = secretByArn(arn);
  return async (maxAgeMs) => {
    const text = await secret(maxAgeMs).catch((thrown: unknown) => {
      throw unavailable("the unsubscribe secret cannot be read", thrown);
    });
    return unsubscribeKeysIn(text);
  };
}

/** The keys in the text of the secret. Throws Unavailable, without a value, if it is invalid. */
export function unsubscribeKeysIn(text: string): UnsubscribeKeys {
  const parsed = unsubscribeKeys.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new Unavailable('the unsubscribe secret must be JSON as {"current": "32 characters or more", "former": []}');
}
