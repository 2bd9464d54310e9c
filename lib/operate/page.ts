/**
 * A page of at most `limit` rows, of those that were found from one more, and the id after which the next one begins; null
 * if there is none.
 */
export function pageOf<Row extends { readonly id: string }>(
  found: readonly Row[],
  limit: number,
): { readonly rows: Row[]; readonly next: string | null } {
  const rows = found.slice(0, limit);
  return { rows, next: found.length > limit ? (rows.at(-1)?.id ?? null) : null };
}
