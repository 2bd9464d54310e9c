import * as z from "zod";
import { SWEEP_DEFAULTS } from "../booking/eligibility.ts";
import { connectionSettings, type Environment, nonEmpty, number, parse } from "./config.ts";

/** How often booking tools are compared, for the environment and for the stack's configuration. */
export const reconcileOptions = {
  hotMinutes: z.int().min(1).max(60),
  warmMinutes: z.int().min(5).max(1_440),
  hotDays: z.int().min(1).max(60),
};

const reconcileSettings = connectionSettings.extend({
  AWS_LAMBDA_FUNCTION_NAME: nonEmpty.default("backstop-reconcile"),
  RECONCILE_HOT_MINUTES: number.pipe(reconcileOptions.hotMinutes).default(SWEEP_DEFAULTS.hotMinutes),
  RECONCILE_WARM_MINUTES: number.pipe(reconcileOptions.warmMinutes).default(SWEEP_DEFAULTS.warmMinutes),
  RECONCILE_HOT_DAYS: number.pipe(reconcileOptions.hotDays).default(SWEEP_DEFAULTS.hotDays),
});

/** The configuration of the function that compares booking tools. */
export type ReconcileConfig = z.infer<typeof reconcileSettings>;

/** The configuration of the function `reconcile`. Throws as `loadConfig`. */
export const loadReconcileConfig = (env: Environment): ReconcileConfig => parse(reconcileSettings, env);
