import { describe, expect, it } from "@jest/globals";
import { FACT_SCHEMAS } from "../../lib/inbound/facts.ts";
import { readPostedFacts } from "../../lib/inbound/posted-facts.ts";

const WORKSPACE = "0192d0c4-0000-7000-8000-000000000001";
const ABOUT = { workspaceId: WORKSPACE };
const replied = {
  type: "lead.replied",
  eventId: "crm-1",
  occurredAt: "2026-11-20T09:00:00Z",
  lead: { email: "ida@example.com" },
};
const { type, ...detail } = replied;

describe("posted facts", () => {
  it("may be one or a list, and get the workspace of the URL", () => {
    const accepted = { fact: { type, detail: { ...detail, workspaceId: WORKSPACE } }, warnings: [] };
    expect(readPostedFacts(replied, ABOUT)).toEqual([accepted]);
    expect(readPostedFacts([replied, replied], ABOUT)).toEqual([accepted, accepted]);
    expect(readPostedFacts([], ABOUT)).toEqual([]);
  });

  it("may name the same workspace, and no other", () => {
    expect(readPostedFacts({ ...replied, workspaceId: WORKSPACE.toUpperCase() }, ABOUT)).toMatchObject([
      { warnings: [] },
    ]);
    for (const workspaceId of ["0192d0c4-0000-7000-8000-000000000002", null, 7]) {
      expect(readPostedFacts({ ...replied, workspaceId }, ABOUT)).toEqual([
        { faults: ["workspaceId: must be absent or the workspace of the URL"] },
      ]);
    }
  });

  it("are refused with all their faults and no values, each alone", () => {
    const bad = { type: "lead.snoozed", lead: { email: "nobody at all" }, until: "tomorrow" };
    const [good, refused] = readPostedFacts([replied, bad], ABOUT);
    expect(good).toMatchObject({ warnings: [] });
    expect(refused).toEqual({
      faults: [
        expect.stringMatching(/^eventId: /),
        expect.stringMatching(/^occurredAt: /),
        "lead.email: must be an e-mail address",
        "until: must be an instant, as in 2026-11-25T14:00:00Z",
      ],
    });
  });

  it("that stop something are accepted with warnings if they name the lead", () => {
    expect(readPostedFacts({ type, lead: detail.lead, crm: "acme" }, ABOUT)).toMatchObject([
      {
        fact: { type },
        warnings: expect.arrayContaining([expect.stringMatching(/^eventId: /), "unknown key crm was ignored"]),
      },
    ]);
  });

  const contacted = { ...replied, type: "lead.contacted", channel: "email" };
  it.each<[string, object]>([
    ["a null key of the lead", { lead: { email: "ida@example.com", phone: null } }],
    ["an empty key of the lead", { lead: { email: "ida@example.com", phone: "", externalId: " " } }],
    ["an offset without its colon", { occurredAt: "2026-11-20T10:00:00.000+0100" }],
  ])("are accepted without warnings as CRMs write them, with %s", (_what, change) => {
    for (const fact of [replied, contacted, { ...replied, type: "lead.snoozed", until: null }])
      expect(readPostedFacts({ ...fact, ...change }, ABOUT)).toMatchObject([
        { fact: { type: fact.type }, warnings: [] },
      ]);
  });

  it.each<[string, object]>([
    ["only empty keys of the lead", { lead: { email: "", phone: null } }],
    ["a time without a zone", { occurredAt: "2026-11-20T10:00:00" }],
    ["a time in seconds", { occurredAt: 1_795_165_200 }],
    ["a number as its id", { eventId: 4711 }],
  ])("that start something are refused by name, with %s", (_what, change) => {
    const [key = ""] = Object.keys(change);
    const faults = [expect.stringMatching(new RegExp(`^${key}: `))];
    expect(readPostedFacts({ ...contacted, ...change }, ABOUT)).toEqual([{ faults }]);
  });

  it("of an unknown type, or that are no objects, are refused with the known types", () => {
    const known = `type: must be one of ${Object.keys(FACT_SCHEMAS).join(", ")}`;
    expect(
      readPostedFacts(
        [
          { ...replied, type: "lead.sneezed" },
          { ...replied, type: "constructor" },
        ],
        ABOUT,
      ),
    ).toEqual([{ faults: [known] }, { faults: [known] }]);
    for (const item of [null, "text", 7, [replied]]) {
      expect(readPostedFacts([item], ABOUT)).toEqual([{ faults: [expect.any(String)] }]);
    }
  });

  it("nested too deeply are refused, beside good ones", () => {
    const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    const [good, ...refused] = readPostedFacts([replied, { ...replied, deep }, { ...replied, lead: deep }], ABOUT);
    expect(good).toMatchObject({ warnings: [] });
    expect(refused).toEqual(Array(2).fill({ faults: ["is nested more than 100 levels deep"] }));
  });

  it("larger than the intake accepts are refused", () => {
    const leads = Array.from({ length: 1_000 }, (_, index) => ({
      email: `${index}@example.com`,
      company: "a".repeat(300),
    }));
    const { lead: _, ...about } = detail;
    const enrolled = { ...about, type: "lead.enrolled", sequence: { name: "Chase" }, leads };
    expect(readPostedFacts(enrolled, ABOUT)).toEqual([
      { faults: [expect.stringMatching(/bytes; at most \d+ are allowed/)] },
    ]);
  });
});
