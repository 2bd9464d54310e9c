import { afterEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import {
  ANY_NETWORK,
  assertReachable,
  isPublicAddress,
  type Network,
  PUBLIC_NETWORK,
} from "../../lib/channels/network.ts";
import { webhookChannel } from "../../lib/channels/webhook.ts";
import { aTouch } from "./contract.ts";
import { answering, closeServers, httpServer, tcpServer } from "./servers.ts";
import { endpointAt } from "./webhook-endpoint.ts";

afterEach(closeServers);

describe("a webhook cannot reach the inner network", () => {
  /** A network in which every name resolves to the next list of `answers`. The last list repeats. */
  const network = (mayReach: Network["mayReach"], ...answers: readonly string[][]) => {
    const asked: string[] = [];
    const resolve: Network["resolve"] = (hostname) => {
      const addresses = answers[Math.min(asked.push(hostname), answers.length) - 1] ?? [];
      return Promise.resolve(addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));
    };
    return { asked, protocols: ["http:", "https:"], resolve, mayReach } satisfies Network & { asked: string[] };
  };
  /** The address is the operator's setting, so the whole channel is down. */
  const refusedBy = (rule: string) => ({ kind: "channel_down", reason: `webhook_${rule}`, scope: "channel" });
  const isFriendly = (address: string) => address === "127.0.0.1";

  it.each([
    "https://127.0.0.1",
    "https://127.1",
    "https://2130706433",
    "https://0x7f000001",
    "https://0177.0.0.1",
    "https://0.0.0.0",
    "https://10.1.2.3",
    "https://172.16.0.1",
    "https://192.168.1.1",
    "https://100.64.0.1",
    "https://169.254.169.254/latest/meta-data",
    "https://169.254.170.2/v2/credentials",
    "https://[::]",
    "https://[::1]",
    "https://[::127.0.0.1]",
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:a9fe:a9fe]",
    "https://[64:ff9b::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[fe80::1]",
    "https://[fd00:ec2::254]",
    "https://[fc00::1]",
    "https://[fec0::1]",
    "https://[ff02::1]",
    "https://[2001:db8::1]",
    "https://localhost",
    "https://LOCALHOST",
  ])("refuses %s", async (url) => {
    const outcome = await webhookChannel(endpointAt(0, { url, network: PUBLIC_NETWORK })).send(aTouch());
    expect(outcome).toEqual(refusedBy("address_not_allowed"));
  });

  it("refuses to connect without TLS", async () => {
    const { port, requests } = await httpServer(answering(200));
    const outcome = await webhookChannel(endpointAt(port, { network: PUBLIC_NETWORK })).send(aTouch());
    expect(outcome).toEqual(refusedBy("protocol_not_allowed"));
    expect(requests).toEqual([]);
  });

  it("and rejects a port that the security group blocks, without a connection", async () => {
    const url = "https://receiver.example:8443/";
    const outcome = await webhookChannel(endpointAt(0, { url, network: PUBLIC_NETWORK })).send(aTouch());
    expect(outcome).toEqual(refusedBy("port_not_allowed"));
    expect(() => assertReachable(new URL("https://receiver.example:443/"), PUBLIC_NETWORK)).not.toThrow();
    expect(() => assertReachable(new URL(url), ANY_NETWORK)).not.toThrow();
  });

  it("accepts the same request if the operator allows any network", async () => {
    const { port, requests } = await httpServer(answering(200));
    expect(await webhookChannel(endpointAt(port)).send(aTouch())).toMatchObject({ kind: "accepted" });
    expect(requests).toHaveLength(1);
  });

  it("rejects a name that resolves to an inner address, without a request", async () => {
    const { port, requests } = await httpServer(answering(200));
    const inner = network(isPublicAddress, ["127.0.0.1", "::1"]);
    const url = `http://receiver.test:${port}/`;
    const outcome = await webhookChannel(endpointAt(port, { url, network: inner })).send(aTouch());
    expect(outcome).toEqual(refusedBy("address_not_allowed"));
    expect(requests).toEqual([]);
  });

  it("connects to the checked address, even if the name then resolves to another", async () => {
    const { port, requests } = await httpServer(answering(200));
    const rebinding = network(isFriendly, ["127.0.0.1"], ["127.0.0.2"]);
    const url = `http://receiver.test:${port}/`;
    expect(await webhookChannel(endpointAt(port, { url, network: rebinding })).send(aTouch())).toMatchObject({
      kind: "accepted",
    });
    expect(rebinding.asked).toEqual(["receiver.test"]);
    expect(requests).toMatchObject([{ headers: { host: `receiver.test:${port}` } }]);
  });

  it("checks the address again for each touch", async () => {
    const { port, requests } = await httpServer(answering(200));
    const rebinding = network(isFriendly, ["127.0.0.1"], ["127.0.0.2"]);
    const channel = webhookChannel(endpointAt(port, { url: `http://receiver.test:${port}/`, network: rebinding }));
    await channel.send(aTouch());
    expect(await channel.send(aTouch())).toEqual(refusedBy("address_not_allowed"));
    expect(requests).toHaveLength(1);
  });

  it("skips the internal addresses of a name", async () => {
    const { port } = await httpServer(answering(200));
    const mixed = network(isFriendly, ["127.0.0.2", "127.0.0.1", "::1"]);
    const url = `http://receiver.test:${port}/`;
    expect(await webhookChannel(endpointAt(port, { url, network: mixed })).send(aTouch())).toMatchObject({
      kind: "accepted",
    });
  });

  it("verifies the certificate of the name before it sends anything", async () => {
    const heard: Buffer[] = [];
    const port = await tcpServer((socket) => socket.once("data", (data) => socket.destroy(void heard.push(data))));
    const url = `https://receiver.test:${port}/`;
    const outcome = await webhookChannel(endpointAt(port, { url, network: network(isFriendly, ["127.0.0.1"]) })).send(
      aTouch(),
    );
    expect(outcome).toMatchObject({ kind: "channel_down" });
    const said = Buffer.concat(heard).toString("latin1");
    expect(said).toContain("receiver.test");
    expect(said).not.toMatch(/webhook|Guten Tag/);
  });

  it("is retried if the name does not resolve now", async () => {
    const url = "https://nowhere.invalid/";
    expect(await webhookChannel(endpointAt(0, { url })).send(aTouch())).toMatchObject({ kind: "channel_down" });
  });

  it.each(["93.184.215.14", "8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111"])("treats %s as public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it("treats all spellings of an IPv4 address alike", () => {
    fc.assert(fc.property(fc.ipV4(), (address) => isPublicAddress(address) === isPublicAddress(`::ffff:${address}`)));
    const inner = fc
      .constantFrom("10.", "127.", "0.")
      .chain((first) => fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)).map((rest) => first + rest.join(".")));
    fc.assert(fc.property(inner, (address) => !isPublicAddress(address) && !isPublicAddress(`::${address}`)));
  });
});
