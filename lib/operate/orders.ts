import { applySequences } from "./apply-sequences.ts";
import { applyWorkspace } from "./apply-workspace.ts";
import { approve, reject } from "./approvals.ts";
import { bookLead, unbookLead } from "./book-lead.ts";
import { resend } from "./digests.ts";
import { enrolLead } from "./enrol-lead.ts";
import { eraseLead } from "./erase-lead.ts";
import { importLeads } from "./import-leads.ts";
import type { Order } from "./operation.ts";
import { optInLead, optOutLead } from "./opt-out-lead.ts";
import { pauseAllWorkspaces, pauseWorkspace, resumeAllWorkspaces, resumeWorkspace } from "./pause-workspace.ts";
import { recheckLead } from "./recheck-lead.ts";
import { reopen } from "./reopen.ts";
import { snoozeLead } from "./snooze-lead.ts";
import { resumeLead, stopLead } from "./stop-lead.ts";
import { takeInEvent } from "./take-in-event.ts";
import { finish } from "./tasks.ts";
import { retryTouches, settleTouch } from "./touches.ts";

/** All orders. A new one is one file in this folder and one entry here. */
export const ORDERS: readonly Order[] = [
  applyWorkspace,
  applySequences,
  pauseWorkspace,
  resumeWorkspace,
  pauseAllWorkspaces,
  resumeAllWorkspaces,
  stopLead,
  resumeLead,
  snoozeLead,
  recheckLead,
  optOutLead,
  optInLead,
  bookLead,
  unbookLead,
  settleTouch,
  retryTouches,
  finish,
  resend,
  enrolLead,
  importLeads,
  eraseLead,
  approve,
  reject,
  reopen,
  takeInEvent,
];
