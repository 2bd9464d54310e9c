import { tmpdir } from "node:os";
import { dropTemplate } from "./database.ts";
import { removeRunFolder } from "./run-folder.ts";

// biome-ignore lint/style/noDefaultExport: jest calls the default export
export default async function stopPostgres(): Promise<void> {
  await dropTemplate();
  await globalThis.backstopTestServer?.stop();
  await removeRunFolder(tmpdir());
}
