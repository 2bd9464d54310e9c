/** Whether this is PostgreSQL's `lock_not_available`. In its own file to keep the migration bundle small. */
export const isLockTimeout = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && thrown.code === "55P03";
