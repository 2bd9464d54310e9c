/** Runs StrykerJS with the given options: `npm run mutate`. Installs it first, because nothing else needs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { installPackages } from "../bench/install-packages.ts";
import { LOCAL_FOLDER } from "../cli/postgres/local-database.ts";

const VERSION = "10.0.0";
const FOLDER = join(LOCAL_FOLDER, "mutation-tools");

await installPackages(FOLDER, { "@stryker-mutator/core": VERSION, "@stryker-mutator/jest-runner": VERSION });
const stryker = join(FOLDER, "node_modules/@stryker-mutator/core/bin/stryker.js");
const child = spawn(process.execPath, [stryker, "run", ...process.argv.slice(2)], { stdio: "inherit" });
[process.exitCode] = await once(child, "exit");
