/** The most rows of a list. Keeps an answer below the 6 MB of Lambda. */
export const MAX_LISTED = 1_000;

/**
 * A page of at most `limit` rows, and the id after which the next one begins; null if there is none. `found` has up to
 * `limit + 1` rows.
 */
export function pageOf<Row extends { readonly id: string }>(
  found: readonly Row[],
  limit: number,
): { readonly rows: Row[]; readonly next: string | null } {
  const rows = found.slice(0, limit);
  return { rows, next: found.length > limit ? (rows.at(-1)?.id ?? null) : null };
}
