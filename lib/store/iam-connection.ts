import { Signer } from "@aws-sdk/rds-signer";
import type pg from "pg";

/** Where the database, or the proxy before it, is reached with the function's own role instead of a password. */
export interface IamEndpoint {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly region: string;
}

/** A connection over verified TLS whose password is a fresh token each time: a token is valid for 15 minutes. */
export function iamConnection({ host, port, database, user, region }: IamEndpoint): pg.PoolConfig {
  const signer = new Signer({ hostname: host, port, username: user, region });
  return { host, port, database, user, password: () => signer.getAuthToken(), ssl: { rejectUnauthorized: true } };
}
