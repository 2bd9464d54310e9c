import * as z from "zod";
import type { About } from "./booking-facts.ts";
import { FACT_SCHEMAS, type FactType } from "./facts.ts";
import { faultsOf } from "./json.ts";
import { LARGEST_EVENT_BYTES, parseFact } from "./parse-event.ts";
import type { BusEvent } from "./translation.ts";

/** EventBridge adds its own fields to the detail. */
const LARGEST_DETAIL_BYTES = LARGEST_EVENT_BYTES - 4_096;

const TYPES = Object.keys(FACT_SCHEMAS) as FactType[];
const posted = z.looseObject({ type: z.enum(TYPES, `must be one of ${TYPES.join(", ")}`) });

/** The result for one posted fact. */
type PostedFact =
  | {
      /** As posted, because the intake parses and repairs it again. */
      readonly fact: BusEvent;
      /** Faults of a fact that is accepted nevertheless, because it stops something. */
      readonly warnings: readonly string[];
    }
  | {
      /** Each without values. */
      readonly faults: readonly string[];
    };

/**
 * Reads facts that another system posts: one, or a list. Each is the detail of an event of the intake, with `type` for
 * its detail type, and is checked as the intake checks it. A bad fact does not affect the others.
 *
 * Event id: the sender's own `eventId`. Account: the facts belong to the workspace of the URL; a `workspaceId` in a fact
 * must be absent or the same. A fact that names no lead is refused.
 */
export function readPostedFacts(payload: unknown, about: Pick<About, "workspaceId">): readonly PostedFact[] {
  return (Array.isArray(payload) ? payload : [payload]).map((item) => readOne(item, about));
}

function readOne(item: unknown, { workspaceId }: Pick<About, "workspaceId">): PostedFact {
  const parsed = posted.safeParse(item);
  if (!parsed.success) return { faults: faultsOf(parsed.error) };
  const { type, ...rest } = parsed.data;
  const given = rest["workspaceId"];
  if (given !== undefined && !isSame(given, workspaceId)) {
    return { faults: ["workspaceId: must be absent or the workspace of the URL"] };
  }
  const detail = { ...rest, workspaceId };
  const fact = parseFact(type, detail);
  if (!fact.ok) return { faults: fact.faults };
  const bytes = Buffer.byteLength(JSON.stringify(detail));
  if (bytes > LARGEST_DETAIL_BYTES)
    return { faults: [`has ${bytes} bytes; at most ${LARGEST_DETAIL_BYTES} are allowed`] };
  return { fact: { type, detail }, warnings: fact.fact.warnings };
}

const isSame = (given: unknown, workspaceId: string): boolean =>
  typeof given === "string" && given.toLowerCase() === workspaceId.toLowerCase();
