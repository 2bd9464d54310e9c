import * as z from "zod";
import { FACT_SCHEMAS, type Fact, isFactType } from "./facts.ts";
import { faultsOf } from "./faults.ts";
import { repair } from "./repair.ts";

/** The former size limit of EventBridge; a thousand leads fit easily. */
export const LARGEST_EVENT_BYTES = 256 * 1024;

/** The fields of an EventBridge event that are used here. */
const envelope = z.object({ "detail-type": z.string(), detail: z.unknown() });

export type ParsedEvent = { readonly ok: true; readonly fact: Fact } | { readonly ok: false; readonly reason: string };

/**
 * Parses an event of the bus. An invalid fact is repaired if it stops something and names the lead; otherwise it is
 * refused. The reason lists all faults and no values.
 */
export function parseEvent(body: string): ParsedEvent {
  if (Buffer.byteLength(body) > LARGEST_EVENT_BYTES) return refused(`larger than ${LARGEST_EVENT_BYTES} bytes`);
  const json = jsonOf(body);
  if (json === undefined) return refused("not JSON");
  const event = envelope.safeParse(json);
  if (!event.success) return refused(`not an event of EventBridge: ${faultsOf(event.error).join("; ")}`);
  const { "detail-type": type, detail } = event.data;
  if (!isFactType(type)) {
    const known = Object.keys(FACT_SCHEMAS).join(", ");
    return refused(`there is no detail-type ${JSON.stringify(type.slice(0, 100))}; known are ${known}`);
  }
  const parsed = FACT_SCHEMAS[type].safeParse(detail);
  if (parsed.success) return { ok: true, fact: { ...parsed.data, type, warnings: [] } as Fact };
  const repaired = repair(type, detail);
  const again = FACT_SCHEMAS[type].safeParse(repaired?.detail);
  if (!repaired || !again.success) return refused(`detail: ${faultsOf(parsed.error).join("; ")}`);
  return { ok: true, fact: { ...again.data, type, warnings: repaired.warnings } as Fact };
}

const refused = (reason: string): ParsedEvent => ({ ok: false, reason });

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}
