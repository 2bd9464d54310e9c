import {
  ListSecretsCommand,
  type ListSecretsCommandOutput,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import type { ConnectionName } from "../booking/reconcile.ts";
import { BOOKING_TOOLS } from "../domain/labels.ts";
import { SDK_OPTIONS } from "./unavailable.ts";

const ANSWER_TIMEOUT_MS = 5_000;
/** The most of a page, according to the API reference of ListSecrets. */
const PAGE = 100;
/** Far more than an account may have secrets of one stage. */
const MOST_PAGES = 100;

const TOOL = BOOKING_TOOLS.join("|");
const CONNECTION = new RegExp(`^(?<workspaceId>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?<tool>${TOOL})$`);

/**
 * The connections with booking tools whose secrets are named below `prefix`. Reads no secret. Rejects with the error of
 * the AWS SDK.
 */
export function storedConnections(prefix: string): () => Promise<readonly ConnectionName[]> {
  const client = new SecretsManagerClient(SDK_OPTIONS);
  return async () => {
    const names: string[] = [];
    let NextToken: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const abortSignal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      const Filters = [{ Key: "name" as const, Values: [`${prefix}/`] }];
      const answer: ListSecretsCommandOutput = await client.send(
        new ListSecretsCommand({ Filters, MaxResults: PAGE, NextToken }),
        { abortSignal },
      );
      names.push(...(answer.SecretList ?? []).flatMap(({ Name }) => Name ?? []));
      NextToken = answer.NextToken;
      if (NextToken === undefined) return connectionsIn(names, prefix);
    }
    throw new Error("the list of secrets has no end");
  };
}

/** The connections among names of secrets. The filter of the API also finds other stages, and secrets for other uses. */
const connectionsIn = (names: readonly string[], prefix: string): readonly ConnectionName[] =>
  names.flatMap((name) => {
    const groups = name.startsWith(`${prefix}/`) ? CONNECTION.exec(name.slice(prefix.length + 1))?.groups : undefined;
    const tool = BOOKING_TOOLS.find((known) => known === groups?.["tool"]);
    return tool && groups ? [{ workspaceId: groups["workspaceId"] ?? "", tool }] : [];
  });
