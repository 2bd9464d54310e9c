import { rm } from "node:fs/promises";
import { dropTemplate } from "./database.ts";

// biome-ignore lint/style/noDefaultExport: jest calls the default export
export default async function stopPostgres(): Promise<void> {
  await dropTemplate();
  const embedded = globalThis.backstopTestServer;
  await embedded?.server.stop();
  if (embedded) await rm(embedded.folder, { recursive: true, force: true, maxRetries: 5 });
}
