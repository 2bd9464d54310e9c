import { execFileSync } from "node:child_process";
import { PROJECT } from "./bundle.ts";

const LENGTH = 12;

/** The commit that is deployed, with the suffix "-dirty" if files differ; "unknown" outside a git checkout. */
export function gitRevision(): string {
  try {
    const options = ["describe", "--always", "--dirty", "--exclude=*", `--abbrev=${LENGTH}`];
    return execFileSync("git", options, { cwd: PROJECT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
}
