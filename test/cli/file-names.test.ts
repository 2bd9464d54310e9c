import { expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { fileNamesFor } from "../../cli/file-names.ts";

it.each([
  [
    ["Chase", "Chase-3", "chase!"],
    ["chase", "chase-3", "chase-2"],
  ],
  [
    ["a", "a 2", "A"],
    ["a", "a-2", "a-3"],
  ],
  [
    ["Stra\u00dfe", "STRASSE"],
    ["stra\u00dfe", "strasse-2"],
  ],
  [
    ["Caf\u00e9", "Cafe\u0301"],
    ["caf\u00e9", "caf\u00e9-2"],
  ],
  [
    ["nul", "!!!"],
    ["nul-sequence", "sequence"],
  ],
])("the sequences %j are exported to %j", (names, files) => {
  expect(fileNamesFor(names)).toEqual(files);
});

it("each name has its own file, also on a file system that ignores case and accents' notation", () => {
  const name = fc.array(fc.constantFrom("a", "A", "-2", "2", " ", "\u00e9", "e\u0301", "\u00df", "ss", "\ud83d\ude00"));
  fc.assert(
    fc.property(fc.array(name.map((parts) => parts.join(""))), (names) => {
      const files = fileNamesFor(names).map((file) => file.normalize("NFC").toUpperCase());
      expect(new Set(files).size).toBe(names.length);
    }),
  );
});
