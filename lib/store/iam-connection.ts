import { Signer } from "@aws-sdk/rds-signer";
import type pg from "pg";

/** A database, or a proxy, that accepts the function's IAM role instead of a password. */
export interface IamEndpoint {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly region: string;
}

/** Connects over verified TLS, with a fresh token as password for each connection: a token is valid for 15 minutes. */
export function iamConnection({ host, port, database, user, region }: IamEndpoint): pg.PoolConfig {
  const signer = new Signer({ hostname: host, port, username: user, region });
  return { host, port, database, user, password: () => signer.getAuthToken(), ssl: { rejectUnauthorized: true } };
}

/** Where the database is: behind IAM, or at a URL. */
export type DatabaseAddress = IamEndpoint | { readonly connectionString: string };

/** How to connect to the configured database. */
export const connectionTo = (address: DatabaseAddress): pg.PoolConfig =>
  "host" in address ? iamConnection(address) : { connectionString: address.connectionString };
