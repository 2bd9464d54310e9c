/**
 * File names for these names, without an extension, in the same order: letters, digits and hyphens. They differ also on
 * file systems that ignore case or accents' notation, and none is reserved by Windows.
 */
export function fileNamesFor(names: readonly string[]): readonly string[] {
  const used = new Set<string>();
  return names.map((name) => {
    const plain = plainName(name);
    let free = plain;
    for (let number = 2; used.has(folded(free)); number++) free = `${plain}-${number}`;
    used.add(folded(free));
    return free;
  });
}

/** File systems limit names to 255 bytes. Sixty characters have at most 240. */
const LONGEST = 60;
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/;

function plainName(name: string): string {
  const words = name
    .normalize("NFC")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}]+/gu, "-");
  const plain =
    [...words]
      .slice(0, LONGEST)
      .join("")
      .replaceAll(/^-+|-+$/g, "") || "sequence";
  return RESERVED.test(plain) ? `${plain}-sequence` : plain;
}

/** Equal for names that some file system treats as one, such as `straße` and `strasse`. */
const folded = (name: string): string => name.normalize("NFKD").toUpperCase().normalize("NFKD").toLowerCase();
