/**
 * Laws that are tried in every zone, at every point of a run, or on thousands of texts, are tried on one case in so many; 1
 * but where the environment variable `ONE_CASE_IN` says otherwise, as for mutants, whom any case finds out, and where a
 * machine is slow.
 */
export const ONE_CASE_IN = Number(process.env["ONE_CASE_IN"] ?? 1);
