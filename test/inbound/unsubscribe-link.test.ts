import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import {
  readUnsubscribeToken,
  type UnsubscribeKeys,
  unsubscribeKeys,
  unsubscribeToken,
  withNextKey,
} from "../../lib/inbound/unsubscribe-link.ts";

const NOW = new Date("2026-12-01T09:00:00Z");
const [FIRST, SECOND] = ["first key, which is long enough for us", "second key, which is long enough for us"] as const;
const keys: UnsubscribeKeys = { current: FIRST, former: [] };
const touch = { workspaceId: "0190f0f0-0000-7000-8000-0000000000aa", touchId: "0190f0f0-0000-7000-8000-000000000001" };
const token = unsubscribeToken(touch, FIRST);
const read = (text: string, known = keys, now = NOW) => readUnsubscribeToken(text, known, now);

describe("the token of an unsubscribe link", () => {
  it("names the workspace and the touch that it was made for", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (workspaceId, touchId) => {
        expect(read(unsubscribeToken({ workspaceId, touchId }, FIRST))).toEqual({ workspaceId, touchId });
      }),
    );
  });

  it("is 65 URL-safe characters and ends with a letter, so that no program leaves out its end", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (workspaceId, touchId) => {
        expect(unsubscribeToken({ workspaceId, touchId }, FIRST)).toMatch(/^[\w-]{64}u$/);
      }),
    );
  });

  it("is invalid if any character differs, also by its case", () => {
    for (let place = 0; place < token.length; place++) {
      const character = token.charAt(place);
      const others = ["A", "z", "-", "_", "=", " ", character.toUpperCase(), character.toLowerCase()];
      for (const other of others.filter((each) => each !== character)) {
        expect(read(token.slice(0, place) + other + token.slice(place + 1))).toBeUndefined();
      }
    }
    expect(read(token)).toEqual(touch);
  });

  it.each([
    ["cut", token.slice(0, -1)],
    ["without its signature", token.slice(0, 43)],
    ["empty", ""],
    ["padded", `${token}=`],
    ["followed by a line break", `${token}\n`],
    ["followed by a dot", `${token}.`],
    ["with spaces", ` ${token}`],
    ["doubled", token + token],
    ["in plain base64", token.replaceAll("-", "+").replaceAll("_", "/").padEnd(66, "+")],
    ["of another kind", "0190f0f0-0000-7000-8000-000000000001"],
  ])("is invalid if it is %s", (_, text) => {
    expect(read(text)).toBeUndefined();
  });

  it("is invalid with the ids of one token and the signature of another", () => {
    const other = unsubscribeToken({ ...touch, touchId: "0190f0f0-0000-7000-8000-000000000002" }, FIRST);
    // 32 bytes of ids end inside the 43rd character.
    expect(read(token.slice(0, 43) + other.slice(43))).toBeUndefined();
    const elsewhere = unsubscribeToken({ ...touch, workspaceId: "0190f0f0-0000-7000-8000-0000000000ab" }, FIRST);
    expect(read(elsewhere.slice(0, 22) + token.slice(22))).toBeUndefined();
  });

  it("is invalid under another key", () => {
    expect(read(token, { current: SECOND, former: [] })).toBeUndefined();
  });
});

describe("a replaced key", () => {
  const rotated = withNextKey(keys, SECOND, NOW);

  it("signs no new link, and its links are valid for 13 months", () => {
    expect(rotated).toEqual({ current: SECOND, former: [{ key: FIRST, until: new Date("2028-01-01T09:00:00Z") }] });
    expect(read(token, rotated, new Date("2028-01-01T08:59:59.999Z"))).toEqual(touch);
    expect(read(token, rotated, new Date("2028-01-01T09:00:00Z"))).toBeUndefined();
    expect(read(unsubscribeToken(touch, SECOND), rotated, new Date("2028-01-01T09:00:00Z"))).toEqual(touch);
  });

  it("stays for its 13 months through later replacements, and is then left out", () => {
    const later = withNextKey(rotated, "third key, which is long enough for us", new Date("2027-12-31T00:00:00Z"));
    expect(later.former.map(({ key }) => key)).toEqual([SECOND, FIRST]);
    const last = withNextKey(later, "fourth key, which is long enough for us", new Date("2028-01-01T09:00:00Z"));
    expect(last.former.map(({ key }) => key)).toEqual([later.current, SECOND]);
  });
});

it("reads the secret that a stack creates, and one that was rotated", () => {
  expect(unsubscribeKeys.parse(JSON.parse(`{"current":"${FIRST}"}`))).toEqual(keys);
  const stored = JSON.stringify(withNextKey(keys, SECOND, NOW));
  expect(unsubscribeKeys.parse(JSON.parse(stored))).toEqual(withNextKey(keys, SECOND, NOW));
  expect(unsubscribeKeys.safeParse({ current: "short" }).success).toBe(false);
});
