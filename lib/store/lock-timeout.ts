/** PostgreSQL's `lock_not_available`, as the driver tells it. In a file of its own: the migration's bundle has no use for the rest. */
export const isLockTimeout = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && thrown.code === "55P03";
