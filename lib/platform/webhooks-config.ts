import * as z from "zod";
import { jsonOf } from "../inbound/json.ts";
import { connectionSettings, type Environment, nonEmpty, parse, unsubscribeSecret } from "./config.ts";
import { localConnections } from "./connection-secrets.ts";

const webhooksSettings = connectionSettings.extend({
  AWS_LAMBDA_FUNCTION_NAME: nonEmpty.default("backstop-webhooks"),
  ...unsubscribeSecret,
});

/** The configuration of the function that receives facts over HTTP. */
type WebhooksConfig = z.infer<typeof webhooksSettings>;

/** The configuration of the function `webhooks`. Throws as `loadConfig`. */
export const loadWebhooksConfig = (env: Environment): WebhooksConfig => parse(webhooksSettings, env);

const localWebhooksSettings = z.object({
  /** Connections that take the place of Secrets Manager. */
  CONNECTION_SECRETS: z
    .string()
    .transform((text, context) => {
      const json = jsonOf(text);
      if (json !== undefined) return json;
      context.addIssue("must be JSON");
      return z.NEVER;
    })
    .pipe(localConnections)
    .optional(),
  UNSUBSCRIBE_KEY: unsubscribeSecret.UNSUBSCRIBE_KEY,
});

/** The configuration of the routes on a machine of a developer. Throws as `loadConfig`. */
export const loadLocalWebhooksConfig = (env: Environment): z.infer<typeof localWebhooksSettings> =>
  parse(localWebhooksSettings, env);
