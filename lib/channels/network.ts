import { type LookupAddress, promises } from "node:dns";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** What part of the world a request may reach. */
export interface Network {
  readonly protocols: readonly string[];
  /** Whether it lets out to the port of the protocol alone. */
  readonly defaultPortOnly?: boolean;
  resolve(hostname: string): Promise<readonly LookupAddress[]>;
  mayReach(address: string): boolean;
}

const resolve = (hostname: string): Promise<LookupAddress[]> => promises.lookup(hostname, { all: true });

/** Hosts on the public internet, over TLS on its own port. For addresses that somebody else chose. */
export const PUBLIC_NETWORK: Network = {
  protocols: ["https:"],
  defaultPortOnly: true,
  resolve,
  mayReach: isPublicAddress,
};

/** Every host, also without TLS. For addresses that the operator of this system chose. */
export const ANY_NETWORK: Network = { protocols: ["https:", "http:"], resolve, mayReach: () => true };

/** The network does not let a request go where its URL points. */
export class NotReachable extends Error {
  override readonly name = "NotReachable";
  readonly code: "protocol_not_allowed" | "port_not_allowed" | "address_not_allowed";
  constructor(code: NotReachable["code"]) {
    super(code);
    this.code = code;
  }
}

/** Throws NotReachable for a URL that no request may go to, whatever its name resolves to. */
export function assertReachable({ protocol, hostname, port }: URL, network: Network): void {
  if (!network.protocols.includes(protocol)) throw new NotReachable("protocol_not_allowed");
  if (network.defaultPortOnly && port !== "") throw new NotReachable("port_not_allowed");
  // A socket asks no lookup about a literal, so it is judged here. In a URL a literal of version 6 stands in brackets.
  const literal = hostname.replace(/^\[|\]$/g, "");
  if (isIP(literal) && !network.mayReach(literal)) throw new NotReachable("address_not_allowed");
}

/**
 * The lookup of a socket: it resolves once, drops the addresses that may not be reached, and the socket connects to what
 * is left. A name that resolves to something else a moment later gains nothing by it.
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
 * Whether an address is one of the public internet, after the IANA special-purpose address registries (RFC 6890): not
 * loopback, private, shared (RFC 6598), link-local with the metadata services, unique-local, multicast or reserved. An
 * address of version 6 that carries one of version 4 counts as the latter where it is mapped (RFC 4291 section 2.5.5.2),
 * and is never public where it is tunnelled or translated. Of version 6 only what IANA gives out is public: 2000::/3.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== "unicast") return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(ALLOCATED, ALLOCATED_BITS);
}
