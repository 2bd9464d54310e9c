#!/usr/bin/env node
import { runProgram } from "./problem.ts";
import { programFor } from "./program.ts";

await runProgram(await programFor(process.argv[2]));
