import { type LookupAddress, promises } from "node:dns";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Limits which hosts a request may reach. */
export interface Network {
  readonly protocols: readonly string[];
  /** Allows only the protocol's default port. */
  readonly defaultPortOnly?: boolean;
  resolve(hostname: string): Promise<readonly LookupAddress[]>;
  mayReach(address: string): boolean;
}

const resolve = (hostname: string): Promise<LookupAddress[]> => promises.lookup(hostname, { all: true });

/** Public internet hosts over TLS on port 443. Use for URLs that third parties supply. */
export const PUBLIC_NETWORK: Network = {
  protocols: ["https:"],
  defaultPortOnly: true,
  resolve,
  mayReach: isPublicAddress,
};

/** Every host, with or without TLS. Use only for URLs that the operator supplies. */
export const ANY_NETWORK: Network = { protocols: ["https:", "http:"], resolve, mayReach: () => true };

/** The network forbids the target of the request. */
export class NotReachable extends Error {
  override readonly name = "NotReachable";
  readonly code: "protocol_not_allowed" | "port_not_allowed" | "address_not_allowed";
  constructor(code: NotReachable["code"]) {
    super(code);
    this.code = code;
  }
}

/** Throws NotReachable for a URL whose protocol, port or literal address is forbidden. Does not resolve names. */
export function assertReachable({ protocol, hostname, port }: URL, network: Network): void {
  if (!network.protocols.includes(protocol)) throw new NotReachable("protocol_not_allowed");
  if (network.defaultPortOnly && port !== "") throw new NotReachable("port_not_allowed");
  // Sockets skip the lookup for IP literals, so check them here. URLs put IPv6 literals in brackets.
  const literal = hostname.replace(/^\[|\]$/g, "");
  if (isIP(literal) && !network.mayReach(literal)) throw new NotReachable("address_not_allowed");
}

/**
 * A socket lookup that resolves once and returns only allowed addresses. The socket connects to one of these, which
 * prevents DNS rebinding.
 */
export function guardedLookup(network: Network): LookupFunction {
  return (hostname, { all }, callback) => {
    network.resolve(hostname).then(
      (found) => {
        const [first, ...others] = found.filter(({ address }) => network.mayReach(address));
        if (!first) callback(new NotReachable("address_not_allowed"), "");
        else if (all) callback(null, [first, ...others]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ""),
    );
  };
}

const ALLOCATED = ipaddr.IPv6.parse("2000::");
const ALLOCATED_BITS = 3;

/**
 * Whether an address is public, according to the IANA special-purpose address registries (RFC 6890).
 *
 * - Not public: loopback, private, shared (RFC 6598), link-local (including metadata services), unique-local, multicast
 *   and reserved addresses.
 * - IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2) counts as its IPv4 address.
 * - Tunnelled or translated IPv6 is never public.
 * - Other IPv6 is public only in 2000::/3, the range that IANA allocates.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== "unicast") return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(ALLOCATED, ALLOCATED_BITS);
}
