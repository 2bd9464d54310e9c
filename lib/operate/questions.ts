import { planApplySequences } from "./apply-sequences.ts";
import { planWorkspace } from "./apply-workspace.ts";
import { listApprovals, showApproval } from "./approvals.ts";
import { listDigests } from "./digests.ts";
import { doctor } from "./doctor.ts";
import { due } from "./due.ts";
import { exportLead } from "./export-lead.ts";
import { facts } from "./facts.ts";
import { findLeads } from "./find-leads.ts";
import { forecast } from "./forecast.ts";
import { forecastSequences } from "./forecast-sequences.ts";
import { funnel } from "./funnel.ts";
import { listOrders } from "./list-orders.ts";
import type { Question } from "./operation.ts";
import { preview } from "./preview.ts";
import { listRuns, showRun } from "./runs.ts";
import { exportSequences, listSequences, showSequence } from "./sequences.ts";
import { showLead } from "./show-lead.ts";
import { listTasks } from "./tasks.ts";
import { countAllTouches, listTouches, planRetry } from "./touches.ts";
import { listWorkspaces, showWorkspace } from "./workspaces.ts";

/** All questions. A new one is one file in this folder and one entry here. */
export const QUESTIONS: readonly Question[] = [
  doctor,
  listWorkspaces,
  showWorkspace,
  planWorkspace,
  listSequences,
  showSequence,
  exportSequences,
  preview,
  planApplySequences,
  findLeads,
  showLead,
  exportLead,
  due,
  forecast,
  forecastSequences,
  listRuns,
  showRun,
  listTouches,
  countAllTouches,
  planRetry,
  funnel,
  listTasks,
  listDigests,
  listOrders,
  facts,
  listApprovals,
  showApproval,
];
