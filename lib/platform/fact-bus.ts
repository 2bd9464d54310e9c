import { EventBridgeClient, PutEventsCommand, type PutEventsRequestEntry } from "@aws-sdk/client-eventbridge";
import pLimit from "p-limit";
import type { BusEvent } from "../inbound/translation.ts";
import { SDK_OPTIONS, Unavailable, unavailable } from "./unavailable.ts";

/** Where facts go. */
export interface FactBus {
  /** Returns once every fact is accepted. Throws Unavailable otherwise; some facts may then be accepted nevertheless. */
  put(facts: readonly BusEvent[]): Promise<void>;
}

/** With the 5 s for a secret, below the function's time limit and the 15 s that Calendly waits for an answer. */
const ANSWER_TIMEOUT_MS = 4_000;
/** The limit of PutEvents, according to its API reference. */
const ENTRIES_IN_A_CALL = 10;
/** Bytes of all entries of one call together; PutEvents allows more. One fact always fits. */
const BYTES_IN_A_CALL = 256 * 1024;
const CALLS_AT_ONCE = 5;

/** The event bus in EventBridge. `source` names the function in each event. */
export function eventBridgeBus(name: string, source: `backstop.${string}`): FactBus {
  const client = new EventBridgeClient(SDK_OPTIONS);
  return {
    async put(facts) {
      const abortSignal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      const calls = callsOf(facts.map((fact) => entryOf(fact, name, source)));
      await pLimit(CALLS_AT_ONCE).map(calls, (Entries) => putEntries(client, Entries, abortSignal));
    },
  };
}

const entryOf = ({ type, detail }: BusEvent, EventBusName: string, Source: string): PutEventsRequestEntry => ({
  EventBusName,
  Source,
  DetailType: type,
  Detail: JSON.stringify(detail),
});

async function putEntries(client: EventBridgeClient, Entries: PutEventsRequestEntry[], abortSignal: AbortSignal) {
  const answer = await client.send(new PutEventsCommand({ Entries }), { abortSignal }).catch((thrown: unknown) => {
    throw unavailable("the event bus did not answer", thrown);
  });
  if ((answer.FailedEntryCount ?? 0) === 0) return;
  const codes = new Set(answer.Entries?.flatMap(({ ErrorCode }) => ErrorCode ?? []));
  throw new Unavailable(`the event bus refused ${answer.FailedEntryCount} facts: ${[...codes].join(", ")}`);
}

/** Chunks within the limits of one call, in order. */
function callsOf(entries: readonly PutEventsRequestEntry[]): PutEventsRequestEntry[][] {
  const calls: PutEventsRequestEntry[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const size = sizeOf(entry);
    const last = calls.at(-1);
    if (last && last.length < ENTRIES_IN_A_CALL && bytes + size <= BYTES_IN_A_CALL) {
      last.push(entry);
      bytes += size;
    } else {
      calls.push([entry]);
      bytes = size;
    }
  }
  return calls;
}

const sizeOf = ({ Source = "", DetailType = "", Detail = "" }: PutEventsRequestEntry): number =>
  Buffer.byteLength(Source) + Buffer.byteLength(DetailType) + Buffer.byteLength(Detail);
