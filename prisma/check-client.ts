import { faultOfGeneratedClient } from "./generated-client.ts";

/** Exits with code 1 and prints the command to run if the generated Prisma client is missing or outdated. */
const fault = await faultOfGeneratedClient();
if (fault !== undefined) {
  process.stderr.write(`${fault}\n`);
  process.exitCode = 1;
}
