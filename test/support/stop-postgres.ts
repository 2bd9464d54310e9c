import { dropTemplate } from "./database.ts";

// biome-ignore lint/style/noDefaultExport: jest calls the default export
export default async function stopPostgres(): Promise<void> {
  await dropTemplate();
  await globalThis.backstopTestServer?.stop();
}
