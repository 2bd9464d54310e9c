/** Most connections that one process uses: one for the lock of a run, and one per claimer. */
export const POOL_SIZE = 4;
