import { jsonOf } from "../inbound/json.ts";
import { type UnsubscribeKeys, unsubscribeKeys } from "../inbound/unsubscribe-token.ts";
import { secretByArn } from "./secrets.ts";
import { Unavailable, unavailable } from "./unavailable.ts";

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
