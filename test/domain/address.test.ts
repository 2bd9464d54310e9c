import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import {
  addressKeys,
  addressToSend,
  normaliseEmail,
  normalisePhone,
  numberToSend,
  readAddress,
} from "../../lib/domain/address.ts";

const addressOf = (text: string) => {
  const read = readAddress(text);
  return "address" in read ? read.address : undefined;
};

describe("parsing an address", () => {
  it.each([
    ["ada@example.com", "ada@example.com"],
    ["Ada.Byron+crm@Example.COM", "Ada.Byron+crm@example.com"],
    ["fred&sons@example.com", "fred&sons@example.com"],
    ["o'hara!#$%*/=?^`{|}~@example.com", "o'hara!#$%*/=?^`{|}~@example.com"],
    ["info@xn--80aaxitdbjk.xn--p1ai", "info@xn--80aaxitdbjk.xn--p1ai"],
    ["info@bücher.example", "info@xn--bcher-kva.example"],
    [" ada@example.com\t", "ada@example.com"],
    ["\u200bada@exa\u00admple.com\ufeff", "ada@example.com"],
    ["\u00a0ada@example.com", "ada@example.com"],
    ["Bob <bob@example.com>", "bob@example.com"],
    ['"Bob, the builder" <bob@example.com>', "bob@example.com"],
    ["mailto:bob@example.com", "bob@example.com"],
    ["MAILTO:bob@example.com.", "bob@example.com"],
  ])("%j is the address %s", (text, address) => {
    expect(addressOf(text)).toBe(address);
  });

  it.each([
    ["two receivers", "one@example.com, two@example.com"],
    ["two receivers", "three@example.com; four@example.com"],
    ["two receivers", "five@example.com six@example.com"],
    ["two receivers", "Bob <bob@example.com>, Eve <eve@example.com>"],
    ["a second line", "c@example.com\r\nBcc: d@example.com"],
    ["a second line in the name", "Bob\r\nBcc: d@example.com <bob@example.com>"],
    ["a quoted local part", '"vip@gmail.example x"@internal.example'],
    ["a group", "team: ada@example.com;"],
    ["a local part that is not ASCII", "müller@bücher.example"],
    ["no domain", "ada@"],
    ["no local part", "@example.com"],
    ["no at sign", "ada"],
    ["no dot in the domain", "root@localhost"],
    ["a domain literal", "ada@[192.0.2.1]"],
    ["an IPv4 address", "ada@192.0.2.1"],
    ["an encoded domain", "ada@b%C3%BCcher.ex\u00e4mple"],
    ["an empty label", "ada@example..com"],
    ["a comment", "ada(work)@example.com"],
    ["a source route", "<@relay.example:ada@example.com>"],
    ["parameters", "mailto:ada@example.com?subject=x"],
    ["nothing", ""],
    ["a local part that is too long", `${"a".repeat(65)}@example.com`],
    ["a domain that is too long", `a@${"a.".repeat(125)}example`],
  ])("%s is not one address: %j", (_, text) => {
    expect(addressOf(text)).toBeUndefined();
    expect(addressToSend(text)).toBeUndefined();
  });

  it("a fault never contains the value", () => {
    expect(readAddress("one@example.com, two@example.com")).toEqual({ fault: "must be exactly one e-mail address" });
    expect(readAddress("c@example.com\nBcc: d@example.com")).toEqual({ fault: "must not contain control characters" });
  });

  it("a display name is returned without its quotes", () => {
    expect(readAddress('"Hana \\"H\\" Müller" <hana@harbour.test>')).toEqual({
      address: "hana@harbour.test",
      name: 'Hana "H" Müller',
    });
    expect(readAddress("<hana@harbour.test>")).toEqual({ address: "hana@harbour.test", name: null });
  });
});

describe("a stored value", () => {
  it.each([
    ["Ada@Example.com", "Ada@example.com"],
    [" Bob <bob@example.com> ", "bob@example.com"],
    ["info@xn--bcher-kva.example", "info@xn--bcher-kva.example"],
  ])("%j is sent to %s", (stored, address) => {
    expect(addressToSend(stored)).toBe(address);
  });

  it("is not sent to if its domain has no ASCII form, because the database cannot compare it", () => {
    expect(addressToSend("info@bücher.example")).toBeUndefined();
  });
});

it("a plain address is parsed like one that needs repair", () => {
  const piece = fc.constantFrom("a", "B", "1", ".", "-", "@", "x.example", "x.Example", "_", "+", "a".repeat(64), "ü");
  const text = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(fc.oneof(text, fc.emailAddress()), (plain) => {
      expect(readAddress(plain)).toEqual(readAddress(` ${plain} `));
      expect(addressToSend(plain)).toBe(addressToSend(` ${plain} `));
    }),
  );
});

describe("text that names a person to stop", () => {
  it.each([
    ["fred&sons@example.com", "fred&sons@example.com"],
    ["Info@BÜCHER.example", "info@xn--bcher-kva.example"],
    ["info@xn--bcher-kva.example", "info@xn--bcher-kva.example"],
    ["info@папироска.рф", "info@xn--80aaxitdbjk.xn--p1ai"],
    ['"vip@gmail.example x"@internal.example', '"vip@gmail.example x"@internal.example'],
    ["MÜLLER@bücher.example", "müller@xn--bcher-kva.example"],
    [" \u200bAda@example.com.\n", "ada@example.com"],
    ["Ada <ada@example.com>", "ada@example.com"],
    ["mailto:ada@example.com", "ada@example.com"],
    ["ada\u0000@example.com", "ada@example.com"],
    ["a..b@example.com", "a..b@example.com"],
    ["root@localhost", "root@localhost"],
  ])("%j matches %s", (text, key) => {
    expect(addressKeys(text)[0]).toBe(key);
  });

  it("also matches rows with the Unicode form of the domain", () => {
    for (const text of ["info@bücher.example", "info@xn--bcher-kva.example"]) {
      expect(addressKeys(text)).toEqual(expect.arrayContaining(["info@bücher.example", "info@xn--bcher-kva.example"]));
    }
  });

  it.each(["", "ada", "@example.com", "ada@", "   "])("%j names no person", (text) => {
    expect(addressKeys(text)).toEqual([]);
  });
});

it.each([
  ["ADA@Example.com", "ada@example.com"],
  ["MÜLLER@Bücher.example", "mÜller@bücher.example"],
  ["  ", null],
  ["<>", null],
])("%j is compared as %j", (text, normalised) => {
  expect(normaliseEmail(text)).toBe(normalised);
});

describe("a phone number", () => {
  it.each([
    ["+49 (30) 123-456", "+4930123456"],
    ["0049 30 123456", "+4930123456"],
    ["030/123456", "030123456"],
    ["n/a", null],
  ])("%j is compared as %j", (text, number) => {
    expect(normalisePhone(text)).toBe(number);
  });

  it.each([
    ["+49 (30) 123-456", "+4930123456"],
    ["1-555-0100", undefined],
    ["030/123456", undefined],
    ["+49 30 123456 / +49 30 654321", undefined],
    ["+4930123456, +4930654321", undefined],
    ["n/a", undefined],
    ["+1 555 0100 ext. 5", undefined],
  ])("%j is sent to %j", (text, number) => {
    expect(numberToSend(text)).toBe(number);
  });
});
