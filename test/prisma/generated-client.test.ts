import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeEach, expect, it } from "@jest/globals";
import { faultOfGeneratedClient } from "../../prisma/generated-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));
const FILES = ["prisma/schema.prisma", "lib/store/generated/internal/class.ts"];

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  for (const file of FILES) await cp(join(CHECKOUT, file), join(folder, file));
});

const fault = () => faultOfGeneratedClient(pathToFileURL(`${folder}/`));

it("a client that was generated from schema.prisma has no fault", async () => {
  expect(await fault()).toBeUndefined();
});

it("after a change of schema.prisma the fault names the command that generates the client", async () => {
  const file = join(folder, "prisma/schema.prisma");
  await writeFile(file, `${await readFile(file, "utf8")}\nenum Colour {\n  red\n}\n`);
  expect(await fault()).toMatch(/does not match prisma\/schema\.prisma: run `npx prisma generate`$/);
});

it("without a generated client the fault names the same command", async () => {
  await rm(join(folder, "lib/store/generated"), { recursive: true });
  expect(await fault()).toMatch(/is missing .*: run `npx prisma generate`$/);
});
