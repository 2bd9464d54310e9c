/**
 * Allowed imports: functions, cli → lib/platform → lib/operate → lib/store, lib/channels → lib/run → lib/inbound →
 * lib/domain; and lib/platform → lib/booking → lib/inbound.
 */
/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "domain-is-pure",
      severity: "error",
      from: { path: "^lib/domain/" },
      to: {
        pathNot:
          "^(lib/domain/|node_modules/(temporal-polyfill|temporal-spec|liquidjs|libphonenumber-js|date-holidays|fastest-levenshtein)/|(node:)?url$)",
      },
    },
    {
      name: "inbound-is-pure",
      severity: "error",
      from: { path: "^lib/inbound/" },
      to: { pathNot: "^(lib/(inbound|domain)/|node_modules/(zod|postal-mime|standardwebhooks)/|(node:)?crypto$)" },
    },
    {
      name: "run-knows-ports-only",
      severity: "error",
      from: { path: "^lib/run/" },
      to: { path: "^(lib/(store|channels|operate|platform)|functions|infra|cli)/" },
    },
    {
      name: "adapters-know-neither-steps-nor-wiring",
      severity: "error",
      from: { path: "^lib/(store|channels)/" },
      to: { path: "^(functions|infra|cli|lib/platform|lib/operate|lib/run/steps)/" },
    },
    {
      name: "operations-know-the-store-only",
      severity: "error",
      from: { path: "^lib/operate/" },
      to: { path: "^(lib/(channels|platform)|functions|infra|cli)/" },
    },
    {
      name: "booking-tools-know-facts-only",
      severity: "error",
      from: { path: "^lib/booking/" },
      to: { path: "^(lib/(run|store|channels|operate|platform)|functions|infra|cli)/" },
    },
    {
      name: "runs-and-orders-know-no-booking-tool",
      severity: "error",
      from: { path: "^lib/(run|store|channels|operate)/" },
      to: { path: "^lib/booking/" },
    },
    {
      name: "store-and-channels-do-not-meet",
      severity: "error",
      from: { path: "^lib/(store|channels)/" },
      to: { path: "^lib/(store|channels)/", pathNot: "^lib/$1/" },
    },
    {
      name: "only-the-store-knows-prisma",
      severity: "error",
      from: { path: "^(lib|functions|cli)/", pathNot: "^lib/store/" },
      to: { path: "(@prisma/|^lib/store/generated/|node_modules/pg/)" },
    },
    {
      name: "lib-knows-no-entry-point",
      severity: "error",
      from: { path: "^lib/" },
      to: { path: "^(functions|infra|cli|bench|test)/" },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-orphans",
      severity: "error",
      from: {
        orphan: true,
        path: "^(lib|infra|cli)/",
        pathNot: "^(lib/index\\.ts|infra/app\\.ts|infra/http-for-bundles\\.js|cli/main\\.ts)$",
      },
      to: {},
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(lib/store/generated)" },
    parser: "swc",
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
