#!/usr/bin/env node
// The entry for any Node and any state of the checkout: it answers with one line where an import would end in a stack trace.
const [major] = process.versions.node.split(".");
if (Number(major) < 24) {
  process.stderr.write(
    `backstop: this needs Node 24, and you run ${process.version}: use \`npm run backstop -- …\`, which brings its own\n`,
  );
  process.exit(1);
}
// Saves the compilation of the same files on each call.
const { enableCompileCache } = await import("node:module");
enableCompileCache();
const { faultOfInstallation } = await import("./installation.ts");
const fault = await faultOfInstallation();
if (fault !== undefined) {
  process.stderr.write(`backstop: ${fault}\n`);
  process.exit(1);
}
await import("./main.ts");
