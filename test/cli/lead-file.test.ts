import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { type MappingOptions, mapColumns } from "../../cli/csv/column-mapping.ts";
import { CRM_EXPORTS } from "../../cli/csv/crm-exports.ts";
import { isFieldTarget } from "../../cli/csv/field-columns.ts";
import { LONGEST_ROW } from "../../cli/csv/rows.ts";
import { openLeadFile } from "../../cli/lead-file.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const path = join(await temporaryFolder(), "leads.csv");

async function reading(content: string | Buffer, options: Partial<MappingOptions> = {}, country: string | null = "DE") {
  await writeFile(path, content);
  const file = await openLeadFile(path, { map: [], ignoreOtherColumns: false, ...options });
  const rows: { line: number; read: unknown }[] = [];
  for await (const { line, read } of file.rows(country)) rows.push({ line, read });
  return { file, rows };
}

/** Lead and warnings of the only row of a file with these columns. */
async function leadOf(heading: string, row: string, country?: string | null) {
  const { rows } = await reading(`email,${heading}\na@x.test,${row}\n`, {}, country);
  const read = rows[0]?.read as { readonly lead: Record<string, string>; readonly warnings: readonly string[] };
  const { email: _, ...others } = read.lead;
  return { ...others, warnings: read.warnings };
}

const lead = (line: number, values: Record<string, string>) => ({ line, read: { lead: values, warnings: [] } });

describe("the delimiter", () => {
  it.each([
    ["email;first_name;company\na@x.test;Ada;Engines, Ltd\n", ";", 2],
    ["email\tfirst_name\tcompany\na@x.test\tAda\tEngines, Ltd\n", "\t", 2],
    ["email|first_name|company\na@x.test|Ada|Engines, Ltd\n", "|", 2],
    ["sep=;\nemail;first_name;company\na@x.test;Ada;Engines, Ltd\n", ";", 3],
    ['"sep=^"\r\nemail^first_name^company\r\na@x.test^Ada^Engines, Ltd\r\n', "^", 3],
    ['\n\nemail,first_name,company\na@x.test,Ada,"Engines, Ltd"\n', ",", 4],
  ])("of %j is %j", async (content, delimiter, line) => {
    const { file, rows } = await reading(content);
    expect(file.delimiter).toBe(delimiter);
    expect(rows).toEqual([lead(line, { email: "a@x.test", firstName: "Ada", company: "Engines, Ltd" })]);
  });
});

describe("the encoding", () => {
  const text = "email,first_name\na@x.test,Renée\n";
  const swapped = Buffer.from(`\ufeff${text}`, "utf16le").swap16();
  it.each<[string, Buffer]>([
    ["utf-8", Buffer.from(text)],
    ["utf-8", Buffer.from(`\ufeff${text}`)],
    ["utf-16le", Buffer.from(`\ufeff${text}`, "utf16le")],
    ["utf-16le", Buffer.from(text, "utf16le")],
    ["utf-16be", swapped],
    ["windows-1252", Buffer.from(text, "latin1")],
  ])("%s is detected", async (encoding, content) => {
    const { file, rows } = await reading(content);
    expect(file.encoding).toBe(encoding);
    expect(rows).toEqual([lead(2, { email: "a@x.test", firstName: "Renée" })]);
  });

  it("of a file that mixes two is UTF-8, and a cell with a lost character is dropped", async () => {
    const rest = Buffer.from("b@x.test,Ren\u00e9\nc\u00e9@x.test,\n", "latin1");
    const { file, rows } = await reading(Buffer.concat([Buffer.from(text), rest]));
    expect(file.encoding).toBe("utf-8");
    const lost = "it has a character that an earlier program has lost";
    expect(rows.slice(1)).toEqual([
      { line: 3, read: { lead: { email: "b@x.test" }, warnings: [`first_name is dropped: ${lost}`] } },
      { line: 4, read: { fault: `email: ${lost}` } },
    ]);
  });

  it.each<[Buffer, RegExp]>([
    [Buffer.from("PK\u0003\u0004rest"), /spreadsheet file, not CSV/],
    [Buffer.from("email\na@x.test\n\0\0"), /not a text file/],
    // "Москва" in Windows-1251.
    [
      Buffer.from("email,first_name\na@x.test,\u00cc\u00ee\u00f1\u00ea\u00e2\u00e0\n", "latin1"),
      /neither UTF-8, UTF-16/,
    ],
  ])("of %j is refused", async (content, fault) => {
    await expect(reading(content)).rejects.toThrow(fault);
  });

  it("of a pipe is not waited for", async () => {
    const fifo = join(await temporaryFolder(), "fifo.csv");
    await promisify(execFile)("mkfifo", [fifo]);
    await expect(openLeadFile(fifo)).rejects.toThrow(/fifo\.csv cannot be read: it is a pipe/);
  });
});

describe("a row", () => {
  it("may have line breaks in quoted cells, which start no row", async () => {
    const { rows } = await reading('email,company\na@x.test,"Engines\nb@x.test,Ltd"\r\nc@x.test,"x ""y"\n');
    expect(rows).toEqual([
      { line: 2, read: { lead: { email: "a@x.test" }, warnings: [expect.stringMatching(/^company is dropped/)] } },
      lead(4, { email: "c@x.test", company: 'x "y' }),
    ]);
  });

  it.each([
    ['b@x.test,"Bo', 3],
    ['b@x.test,"Bo" x', 3],
    [`b@x.test,"${"x".repeat(LONGEST_ROW)}`, 3],
    ['b@x.test,"Bo\n"c@x.test",Cy', 3],
  ])("with an unclosed quote swallows no other row", async (broken, line) => {
    const { rows } = await reading(`email,first_name\na@x.test,Ada\n${broken}\nd@x.test,Di\n`);
    expect(rows.find((row) => "fault" in (row.read as object))?.line).toBe(line);
    const last = 3 + broken.split("\n").length;
    expect(rows.at(-1)).toEqual(lead(last, { email: "d@x.test", firstName: "Di" }));
    expect(rows).toHaveLength(last - 1);
  });

  it("keeps the cells of any quoted file", async () => {
    const cell = fc.array(fc.constantFrom("a", '"', ",", ";", "\n", " ", "é"), { maxLength: 6 }).map((x) => x.join(""));
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { maxLength: 5 }), async (cells) => {
        const lines = cells.map(([one, other], index) => `i${index},${quoted(one)},${quoted(other)}`);
        await writeFile(path, ["external_id,first_name,last_name", ...lines].join("\n"));
        const found: (readonly string[])[] = [];
        for await (const row of (await openLeadFile(path)).rows(null)) found.push(row.cells);
        expect(found).toEqual(cells.map(([one, other], index) => [`i${index}`, one, other]));
      }),
      { numRuns: 60 },
    );
  });

  it("may end with delimiters or be empty; a missing or surplus cell makes it invalid", async () => {
    const { file, rows } = await reading(
      "email,first_name,,\na@x.test,Ada,,\nb@x.test,Bo\n,,,\nc@x.test,Cy,x,\nd@x.test\n",
    );
    expect(file.headings).toEqual(["email", "first_name"]);
    expect(rows).toEqual([
      lead(2, { email: "a@x.test", firstName: "Ada" }),
      lead(3, { email: "b@x.test", firstName: "Bo" }),
      { line: 5, read: { fault: "has 3 cells; the heading has 2" } },
      { line: 6, read: { fault: "has 1 cells; the heading has 2" } },
    ]);
  });
});

describe("a cell", () => {
  it.each([
    ..."#N/A,null,NULL,undefined,-,–,n/a,N/A,.,?,\u200b, \u00a0 ,NaN,None,#REF!,#ERROR!,#NAME?,########,[not provided]".split(
      ",",
    ),
  ])("with %j is empty", async (text) => {
    expect(await leadOf("first_name,phone,time_zone", `${text},${text},${text}`)).toEqual({ warnings: [] });
  });

  it.each([
    ["Nullmann", "Nullmann"],
    ["O'Brien", "O'Brien"],
    ["\u200bAda\ufeff", "Ada"],
    ['="0123"', "0123"],
    ["'-Ada", "-Ada"],
    ["Na", "Na"],
  ])("with %j means %j", async (text, name) => {
    expect(await leadOf("first_name", text)).toEqual({ firstName: name, warnings: [] });
  });

  it.each([
    ["linkedin.com/in/ada", "https://linkedin.com/in/ada"],
    ["//www.linkedin.com/in/ada", "https://www.linkedin.com/in/ada"],
    ["http://linkedin.com/in/ada", "http://linkedin.com/in/ada"],
  ])("with the link %j is repaired to %j", async (text, linkedinUrl) => {
    expect(await leadOf("linkedin", text)).toEqual({ linkedinUrl, warnings: [] });
  });

  it.each([
    ["us_slash_eastern", "US/Eastern"],
    ["america_slash_port_hyphen_au_hyphen_prince", "America/Port-au-Prince"],
    ["(GMT-05:00) Eastern Standard Time (America/New_York)", "America/New_York"],
  ])("with the zone %j is repaired to %j", async (text, timeZone) => {
    expect(await leadOf("time_zone", text)).toEqual({ timeZone, warnings: [] });
  });

  it.each([
    ["linkedin", "ada byron"],
    ["time_zone", "PST"],
    ["time_zone", "Eastern Time (US & Canada)"],
    ["first_name", "x".repeat(201)],
    ["first_name", '"Ada\nByron"'],
    ["phone", "0171 1234567 / 030 123456"],
    ["phone", "4.91512E+11"],
    ["phone", "ask Hana"],
  ])("of the optional column %s with %j is dropped, and the lead is kept", async (column, text) => {
    expect(await leadOf(column, text)).toEqual({ warnings: [expect.stringMatching(/^\w+ is dropped: [^@]+$/)] });
  });

  it.each([
    ["email: must be exactly one e-mail address", "a,x1"],
    ["external_id: a spreadsheet has rounded the number; format the column as text", "a@x.test,1.23457E+11"],
  ])("of a key makes the row invalid: %s", async (fault, row) => {
    const { rows } = await reading(`email,external_id\n${row}\n`);
    expect(rows).toEqual([{ line: 2, read: { fault } }]);
  });

  it("with a national phone number is of the row's country, else of the workspace's", async () => {
    expect(await leadOf("phone", "030 123456")).toMatchObject({ phone: "+4930123456" });
    expect(await leadOf("phone,country", "(415) 555-0100,USA")).toMatchObject({ phone: "+14155550100" });
    expect(await leadOf("phone,country", "+1 415 555 0100,Germany")).toMatchObject({ phone: "+14155550100" });
    const unknown = { warnings: [expect.stringMatching(/no international prefix, and no country is known/)] };
    expect(await leadOf("phone,country", "030 123456,Atlantis")).toMatchObject(unknown);
    expect(await leadOf("phone", "030 123456", null)).toEqual(unknown);
  });
});

describe("a heading", () => {
  it("is mapped with --map, which replaces the built-in columns", async () => {
    const content = "Work Email,Email,Vorname\nw@x.test,p@x.test,Ada\n";
    const { file, rows } = await reading(content, { map: ["Work Email=email", "vorname=first_name"] });
    expect(rows).toEqual([lead(2, { email: "w@x.test", firstName: "Ada" })]);
    expect(file.ignored).toEqual(["Email"]);
  });

  it("of several for a column counts in its order, per row", async () => {
    const { rows } = await reading(
      "email,mobile,phone\na@x.test,,+49 30 1234567\nb@x.test,+49 151 23456789,+49 30 1\n",
    );
    expect(rows).toMatchObject([
      { read: { lead: { phone: "+49301234567" } } },
      { read: { lead: { phone: "+4915123456789" } } },
    ]);
  });

  it("that is unknown is a custom field, unless other columns are left out", async () => {
    const content = "email,Job Title,Café No. 1,Country\na@x.test,CEO,n/a,Germany\n";
    const { file, rows } = await reading(content);
    expect([...file.places.keys()].filter(isFieldTarget)).toEqual(
      ["job_title", "cafe_no_1", "country"].map((name) => `fields.${name}`),
    );
    const fields = { job_title: "CEO", country: "Germany" };
    expect(rows).toEqual([{ line: 2, read: { lead: { email: "a@x.test", fields }, warnings: [] } }]);
    const without = await reading(content, { map: ["Job Title=fields.role"], ignoreOtherColumns: true });
    expect(without.file.ignored).toEqual(["Café No. 1"]);
    expect(without.rows).toMatchObject([{ read: { lead: { fields: { role: "CEO" } } } }]);
  });

  it("of a custom field with an invalid value loses the value with a warning, and only it", async () => {
    const { rows } = await reading(`email,Title,Note\na@x.test,${"x".repeat(1_001)},"one\ntwo"\n`);
    const warnings = ["fields.title is dropped: has more than 1000 characters"];
    expect(rows).toEqual([{ line: 2, read: { lead: { email: "a@x.test", fields: { note: "one\ntwo" } }, warnings } }]);
  });

  it("that cannot be mapped is an error, with all others", async () => {
    const many = Array.from({ length: 51 }, (_, index) => `f${index}`).join(",");
    const options = {
      map: ["Nope=email", "Colour=shade", "Colour", "Size=fields.1", "Size=email", "Size=fields.x"],
    };
    await expect(reading(`Colour,Size,色,Col-our,col our,${many}\n`, options)).rejects.toThrow(
      new RegExp(
        [
          'the file has no column "Nope"',
          '"shade" is neither a column',
          "is not of the form",
          '"fields.1" is neither',
          "mapped twice",
          '"色" is no name of a custom field',
          '"Col-our" and "col our" would both be the custom field col_our',
          "5\\d columns would be custom fields; a lead has at most 50",
        ].join(".*"),
      ),
    );
    await expect(reading("Colour,Size\n")).rejects.toThrow(/email or external_id is needed/);
    await expect(reading("email,E-Mail\n")).rejects.toThrow(/"E-Mail" occurs twice/);
  });

  it("reason, verdict or line is a column of ours at the end only", async () => {
    expect((await reading("email,line,verdict,reason\na@x.test,2,enrolled,\n")).file.ignored).toEqual([]);
    const { places } = (await reading("reason,email\nx,a@x.test\n")).file;
    expect([...places.keys()]).toEqual(["email", "fields.reason"]);
  });

  it.each(CRM_EXPORTS.map((crm) => [crm.name, crm] as const))("of %s has one meaning", (_, crm) => {
    const all = [...Object.values(crm.columns).flat(), ...crm.ignored].map((name) => `${crm.prefix ?? ""}${name}`);
    const mapped = mapColumns([...all, ...crm.signs], { map: [], ignoreOtherColumns: false });
    expect("faults" in mapped ? mapped.faults.filter((fault) => !/occurs twice/.test(fault)) : []).toEqual([]);
    expect(new Set(all).size).toBe(all.length);
  });
});
