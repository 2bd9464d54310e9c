import { execFileSync } from "node:child_process";
import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { PROJECT } from "./bundle.ts";
import { ConfigurationError, readConfiguration } from "./configuration.ts";
import { BackstopStack } from "./stack.ts";

const app = new App();
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));

try {
  const configuration = readConfiguration({
    stages: app.node.tryGetContext("backstop"),
    stage: app.node.tryGetContext("stage"),
    paused: app.node.tryGetContext("paused"),
  });
  new BackstopStack(app, configuration, app.node.tryGetContext("revision") ?? gitRevision());
} catch (thrown) {
  if (!(thrown instanceof ConfigurationError)) throw thrown;
  process.stderr.write(`${thrown.message}\n`);
  process.exit(1);
}

/** The commit that is deployed, with the suffix "-dirty" if files differ; "unknown" outside a git checkout. */
function gitRevision(): string {
  try {
    const options = ["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"];
    return execFileSync("git", options, { cwd: PROJECT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
}
