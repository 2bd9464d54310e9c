#!/usr/bin/env node
// The door for whatever Node a person has: older ones cannot read TypeScript, and would end in a stack trace.
const [major] = process.versions.node.split(".");
if (Number(major) < 24) {
  process.stderr.write(
    `backstop: this needs Node 24, and you run ${process.version}: use \`npm run backstop -- …\`, which brings its own\n`,
  );
  process.exit(1);
}
// A command that is typed again and again need not be read anew each time.
const { enableCompileCache } = await import("node:module");
enableCompileCache();
await import("./main.ts");
