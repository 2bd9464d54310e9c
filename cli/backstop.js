#!/usr/bin/env node
// Runs on any Node and with any state of the checkout: prints one line where an import would end in a stack trace.
const [major] = process.versions.node.split(".");
if (Number(major) < 24) {
  process.stderr.write(
    `backstop: Node 24 is required, and this is ${process.version}: use \`npm run backstop -- …\`, which includes Node 24\n`,
  );
  process.exit(1);
}
// Caches compiled files between calls.
const { enableCompileCache } = await import("node:module");
enableCompileCache();
const { faultOfInstallation } = await import("./installation.ts");
const fault = await faultOfInstallation();
if (fault !== undefined) {
  process.stderr.write(`backstop: ${fault}\n`);
  process.exit(1);
}
await import("./main.ts");
