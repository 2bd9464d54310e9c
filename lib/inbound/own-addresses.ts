import { addressKeys } from "../domain/address.ts";

/** Whether an address is one of these addresses, or of one of these domains, which are written with a leading `@`. */
export function isOwn(address: string | undefined, ownAddresses: readonly string[]): boolean {
  if (address === undefined || ownAddresses.length === 0) return false;
  const keys = addressKeys(address);
  return ownAddresses.some((own) =>
    own.startsWith("@")
      ? keys.some((key) => key.endsWith(own.toLowerCase()))
      : addressKeys(own).some((key) => keys.includes(key)),
  );
}
