import * as z from "zod";
import { instant } from "../inbound/instant.ts";
import { STEPS } from "./steps.ts";

const requestSchema = z.strictObject({
  trigger: z.enum(["schedule", "manual"]).default("manual"),
  scheduledTime: instant.optional(),
  dryRun: z.boolean().default(false),
  only: z
    .array(z.enum(STEPS.map(({ name }) => name)))
    .min(1)
    .optional(),
  workspaceId: z.guid().optional(),
  limit: z.int().min(1).max(1_000_000).optional(),
});

/** The event of an invocation: from the schedule, or a Lambda test event. */
export type RunRequest = z.infer<typeof requestSchema>;
export type Trigger = RunRequest["trigger"];

type ParsedRequest =
  | { readonly ok: true; readonly request: RunRequest }
  | { readonly ok: false; readonly trigger: Trigger; readonly faults: readonly string[] };

/** Parses an event and reports every unknown key, wrong type and unknown step, not only the first. */
export function parseRequest(event: unknown): ParsedRequest {
  const parsed = requestSchema.safeParse(event ?? {});
  if (parsed.success) return { ok: true, request: parsed.data };
  return { ok: false, trigger: claimedTrigger(event), faults: parsed.error.issues.map(describe) };
}

/** Even an invalid event of the schedule must fail as a scheduled run does. */
function claimedTrigger(event: unknown): Trigger {
  const claimed = requestSchema.shape.trigger.safeParse(
    typeof event === "object" && event !== null && "trigger" in event ? event.trigger : undefined,
  );
  return claimed.success ? claimed.data : "manual";
}

const EXPECTED_KEYS = Object.keys(requestSchema.shape).join(", ");

function describe(issue: z.core.$ZodIssue): string {
  const at = issue.path.length > 0 ? issue.path.join(".") : "event";
  if (issue.code === "unrecognized_keys") {
    return `${at}: unknown key ${issue.keys.map((key) => `"${key}"`).join(", ")}; expected any of ${EXPECTED_KEYS}`;
  }
  return `${at}: ${issue.message}`;
}
