import { defineConfig } from "prisma/config";

// Without a path, the CLI downloads a schema engine. `generate`, `validate` and `format` never call it; migrations are
// applied by the same engine as WebAssembly (lib/store/migrate.ts).
process.env["PRISMA_SCHEMA_ENGINE_BINARY"] ??= process.execPath;

export default defineConfig({
  schema: "prisma/schema.prisma",
  migrations: { path: "prisma/migrations" },
});
