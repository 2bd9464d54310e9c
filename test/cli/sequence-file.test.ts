import { execFile } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { parseSequenceFile, readSequenceFiles, writeSequenceFile } from "../../cli/sequence-file.ts";
import { CHANNELS, PLACEHOLDER_KINDS, SEQUENCE_TRIGGERS, STEP_CONDITIONS } from "../../lib/domain/labels.ts";
import type { WrittenSequence } from "../../lib/domain/written-sequence.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const EXAMPLES = fileURLToPath(new URL("../../sequences", import.meta.url));

/** Texts without Liquid, of lines that YAML could misread. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "- a",
        "# b",
        "c: d",
        " e",
        "f ",
        "",
        "yes",
        "1",
        "'",
        '"',
        "|",
        "---",
        "&g",
        "*h",
        "!i",
        "\tj",
        "k\r",
      ),
      fc.string({ unit: fc.constantFrom(..."aé😀:-#'\"[]&*!|>@` ") }),
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((lines) => `x${lines.join("\n")}`);
const written: fc.Arbitrary<WrittenSequence> = fc.record({
  name: fc.constantFrom("Chase", "yes", "null", "1", "a: b", "# c", "'", "Ärger"),
  triggerOn: fc.constantFrom(...SEQUENCE_TRIGGERS),
  active: fc.boolean(),
  steps: fc.uniqueArray(
    fc.record({
      key: fc.constantFrom("a", "1", "true", "null", "b-2"),
      delayMinutes: fc.nat(3 * 7 * 24 * 60),
      channel: fc.constantFrom(...CHANNELS),
      subject: fc.constantFrom("Hi", "- hi: you", "null", "7"),
      body: text,
      allow: fc.constant([...PLACEHOLDER_KINDS]),
      condition: fc.constantFrom(...STEP_CONDITIONS),
      needsApproval: fc.boolean(),
      timeToLiveMinutes: fc.option(fc.integer({ min: 1, max: 100_000 })),
    }),
    { selector: ({ key }) => key, minLength: 1 },
  ),
});

const STEP = "{key: a, delay: 1 day, channel: task, body: x}";
const faultsOf = (file: string): readonly string[] => {
  const parsed = parseSequenceFile(file);
  return "faults" in parsed ? parsed.faults.map(({ line, column, message }) => `${line}:${column} ${message}`) : [];
};
const withSteps = (steps: string) => `name: A\ntriggerOn: manual\nsteps: ${steps}`;

describe("a sequence file", () => {
  it("allows placeholders of other tools by their kind, per step", () => {
    const step = (more: string) => `{key: a, delay: 1 day, channel: task, body: "[x] {Hi|Hello}"${more}}`;
    const kinds = ["spintax", "square_brackets"];
    expect(parseSequenceFile(withSteps(`[${step(", allow: [square_brackets, spintax]")}]`))).toMatchObject({
      sequence: { steps: [{ allow: kinds }] },
    });
    expect(faultsOf(withSteps(`[${step("")}]`))).toEqual([
      expect.stringMatching(/^3:47 step 1, body: .*\(square_brackets\) "\[x\]".*\(line 1, column 1\)$/),
      expect.stringMatching(/^3:47 step 1, body: .*\(spintax\) "\{Hi\|Hello\}".*\(line 1, column 5\)$/),
    ]);
    expect(faultsOf(withSteps(`[${step(", allow: [everything]")}]`))).toHaveLength(3);
  });

  it("is parsed to the sequence that it was written from, with any texts", () => {
    fc.assert(
      fc.property(written, (sequence) => {
        expect(parseSequenceFile(writeSequenceFile(sequence))).toEqual({ sequence });
      }),
    );
  });

  it("reports all errors with their positions", () => {
    const file = `name: A
triggerOn: full_moon
colour: red
workspaceId: 0190f0f0-0000-7000-8000-000000000001
steps:
  - key: a
    delay: soon
    channel: email
    body: Hi {{ lead.frist_name }}
  - key: a
    channel: sms
    body: Hi
`;
    expect(faultsOf(file)).toEqual([
      expect.stringMatching(/^2:1 triggerOn: unknown trigger "full_moon"/),
      "3:1 colour: unknown key",
      "4:1 workspaceId: unknown key",
      expect.stringMatching(/^6:5 step 1, subject: is empty/),
      expect.stringMatching(/^7:5 step 1, delay: must be a duration such as/),
      expect.stringMatching(/^9:5 step 1, body: unknown variable lead.frist_name/),
      expect.stringMatching(/^10:5 step 2, delay: Invalid input/),
      "10:5 step 2, key: repeats the key of step 1",
    ]);
  });

  it.each([
    ["what is no YAML", "name: A: B", /^1:7 .*needs quotes/],
    ["a key twice", `${withSteps(`[${STEP}]`)}\nname: B`, /^4:1 Map keys must be unique/],
    ["an alias", `${withSteps(`[&a ${STEP}, *a]`)}`, /anchors and aliases are not allowed/],
    ["a merge key", withSteps(`[{<<: ${STEP}}]`), /<<: unknown key/],
    ["a tag", withSteps(`[!!js/function ${STEP}]`), /Unresolved tag/],
    ["two documents", `${withSteps(`[${STEP}]`)}\n---\nname: B`, /multiple documents/],
    ["a key that is no text", withSteps("[{[a]: b}]"), /keys must be strings/],
    ["__proto__", withSteps(`[{__proto__: {key: a}, ${STEP.slice(1)}]`), /__proto__: unknown key/],
    [
      "an escape of a terminal",
      withSteps('[{key: a, delay: 1 day, channel: task, body: "\\e[2J"}]'),
      /control character/,
    ],
    ["a name on two lines", withSteps(`[${STEP}]`).replace("A", '"A\\nB"'), /must be a name on one line/],
    ["a delay beyond all", withSteps("[{key: a, delay: 999999999 weeks, channel: task, body: x}]"), /delay: Too big/],
    ["no steps", withSteps("[]"), /at least one step/],
    ["nothing", "", /expected object/],
    ["a list", "[1]", /expected object/],
  ])("is rejected if it contains %s", (_, file, fault) => {
    expect(faultsOf(file).join("\n")).toMatch(fault);
  });

  it("is valid without these", () => {
    expect(faultsOf(withSteps(`[${STEP}]`))).toEqual([]);
  });

  it("cannot expand aliases of aliases", () => {
    const levels = Array.from({ length: 30 }, (_, level) => `- &a${level + 1} [${`*a${level},`.repeat(9)}]`);
    expect(faultsOf(["- &a0 x", ...levels].join("\n")).at(0)).toMatch(/anchors and aliases/);
  });

  it.each(["[", "{a: ", "- "])("is refused where it is nested without end: %s", (opening) => {
    expect(faultsOf(opening.repeat(100_000))).toEqual([expect.stringMatching(/nested too deeply/)]);
  });
});

describe("the files of a folder", () => {
  it("are read together, and all errors of all files are reported", async () => {
    const inFolder = await temporaryFolder();
    const files = {
      "a.yaml": withSteps(`[${STEP}]`),
      "b.yaml": withSteps("[]"),
      "c.yaml": withSteps(`[${STEP}]`),
      "d.yaml": Buffer.from([0xff]),
      "e.yaml": "#".repeat(256 * 1024 + 1),
    };
    const paths = Object.keys(files).map((name) => join(inFolder, name));
    for (const [name, content] of Object.entries(files)) await writeFile(join(inFolder, name), content);
    const fifo = join(inFolder, "fifo.yaml");
    await promisify(execFile)("mkfifo", [fifo]);
    const { faults } = await readSequenceFiles([...paths, inFolder, fifo, join(inFolder, "none.yaml")]);
    expect(faults).toEqual([
      `${paths[1]}:3:1: steps: must contain at least one step`,
      `${paths[3]}:1:1: is not UTF-8 text`,
      `${paths[4]}:1:1: has 262145 bytes; the maximum is 262144`,
      `${inFolder}:1:1: cannot be read: it is a folder`,
      `${fifo}:1:1: cannot be read: it is a pipe or a device; save it to a file first`,
      `${inFolder}/none.yaml:1:1: cannot be read: the file does not exist`,
      `${paths[2]}:1:1: name: ${paths[0]} has the same name`,
    ]);
  });

  it("of the folder sequences/ are valid", async () => {
    const examples = (await readdir(EXAMPLES)).map((name) => join(EXAMPLES, name));
    const { sequences, faults } = await readSequenceFiles(examples);
    expect(faults).toEqual([]);
    expect(sequences.length).toBeGreaterThanOrEqual(3);
  });
});
