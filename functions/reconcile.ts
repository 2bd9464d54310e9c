import { lambdaSetup } from "../lib/platform/lambda.ts";
import { figuresOfReconcile } from "../lib/platform/metrics.ts";
import { loadReconcileConfig } from "../lib/platform/reconcile-config.ts";
import { wireReconcile } from "../lib/platform/wire-reconcile.ts";

const config = loadReconcileConfig(process.env);
const { log, record, handle } = lambdaSetup(config);
const reconciler = wireReconcile(config, log);

/** Compares the connections that are due with their booking tools. Needs no database, and ignores the event. */
export const handler = handle(async (_event, lambda) => {
  const report = await reconciler.run(() => lambda.getRemainingTimeInMillis());
  log.info("reconcile.finished", { ...report });
  record(figuresOfReconcile(report));
  return report;
});
