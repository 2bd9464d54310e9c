/** Options of all AWS clients: a service that accepts no connection in this time counts as unavailable. */
export const SDK_OPTIONS = { requestHandler: { connectionTimeout: 2_000 } };
