import * as z from "zod";
import type { IamEndpoint } from "../store/iam-connection.ts";
import { type Environment, parseEnvironment } from "./environment.ts";

/** A database with IAM authentication. */
export const iamEndpoint = z
  .object({
    DATABASE_HOST: z.string().min(1),
    DATABASE_PORT: z.coerce.number().int().min(1).max(65_535).default(5432),
    DATABASE_NAME: z.string().min(1),
    DATABASE_USER: z.string().min(1),
    AWS_REGION: z.string().min(1),
  })
  .transform(
    (env): IamEndpoint => ({
      host: env.DATABASE_HOST,
      port: env.DATABASE_PORT,
      database: env.DATABASE_NAME,
      user: env.DATABASE_USER,
      region: env.AWS_REGION,
    }),
  );

/** The database to migrate. See `parseEnvironment`. */
export const loadMigrationConfig = (env: Environment): IamEndpoint => parseEnvironment(iamEndpoint, env);
