import { applySequences } from "./apply-sequences.ts";
import { applyWorkspace } from "./apply-workspace.ts";
import type { Order } from "./operation.ts";
import { pauseWorkspace, resumeWorkspace } from "./pause-workspace.ts";

/** All orders. A new one is one file in this folder and one entry here. */
export const ORDERS: readonly Order[] = [applyWorkspace, applySequences, pauseWorkspace, resumeWorkspace];
