import { defineConfig } from "prisma/config";

// The CLI downloads a schema engine unless it is told where one is. `generate`, `validate` and `format` never call it;
// migrations are applied by the same engine as WebAssembly (lib/store/migrate.ts).
process.env["PRISMA_SCHEMA_ENGINE_BINARY"] ??= process.execPath;

export default defineConfig({
  schema: "prisma/schema.prisma",
  migrations: { path: "prisma/migrations" },
});
