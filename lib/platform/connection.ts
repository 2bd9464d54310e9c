import { iamConnection } from "../store/iam-connection.ts";
import type { DatabaseAddress } from "./config.ts";

/** How to connect to the configured database. */
export const connectionTo = (address: DatabaseAddress) =>
  "host" in address ? iamConnection(address) : { connectionString: address.connectionString };
