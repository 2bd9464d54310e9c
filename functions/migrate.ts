import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import middy from "@middy/core";
import type { Context } from "aws-lambda";
import { loadMigrationConfig } from "../lib/platform/config.ts";
import { iamConnection } from "../lib/store/iam-connection.ts";
import { type Migrated, migrate } from "../lib/store/migrate.ts";
import { MigrationFailed } from "../lib/store/migration-failed.ts";

const logger = new Logger({ persistentKeys: { revision: process.env["GIT_REVISION"] ?? "unknown" } });
const connection = iamConnection(loadMigrationConfig(process.env));
/** Deployed beside the bundle. */
const directory = join(import.meta.dirname, "migrations");
const engineFile = join(import.meta.dirname, "schema_engine_bg.wasm");

/**
 * Applies the migrations bundled with this function. Connects directly, not through the proxy. Throws if one fails, so
 * that the deployment stops before it updates the other functions.
 */
export const handler = middy<unknown, Migrated, Error, Context>()
  .use(injectLambdaContext(logger))
  .handler(async () => {
    try {
      const onProgress = (progress: object) => logger.info("migrate.progress", { progress });
      const migrated = await migrate(connection, { directory, engineFile, onProgress });
      logger.info("migrate.finished", { ...migrated });
      return migrated;
    } catch (thrown) {
      if (!(await isOfLaterRelease(thrown))) throw thrown;
      logger.warn("migrate.later_release_failed", { error: thrown as Error });
      return { applied: [] };
    }
  });

/** A rollback runs the previous release again. It must ignore a failed migration that only the later release has. */
async function isOfLaterRelease(thrown: unknown): Promise<boolean> {
  if (!(thrown instanceof MigrationFailed) || thrown.code !== "migration_failed_before") return false;
  return thrown.migration !== undefined && !(await readdir(directory)).includes(thrown.migration);
}
