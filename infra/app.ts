import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { ConfigurationError, readConfiguration } from "./configuration.ts";
import { gitRevision } from "./revision.ts";
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
