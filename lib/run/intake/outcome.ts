import type { EnrolmentVerdict } from "../../domain/enrolment.ts";

interface Remarks {
  /** Leads created because the fact named no known lead; absent if none. */
  readonly created?: number;
  /** Faults of a fact that was applied nevertheless, because it stops something. */
  readonly warnings?: readonly string[];
}

/** The result of applying a fact. */
export type FactOutcome =
  | (Remarks & {
      readonly outcome: "applied";
      /** Instances ended, touches cancelled and instances started. */
      readonly ended: number;
      readonly cancelledTouches: number;
      readonly started: number;
      /** For an enrolment: one verdict per lead, in the order of the event. */
      readonly verdicts?: readonly EnrolmentVerdict[];
    })
  /** A later event was applied before. The fact still ends what it would have ended at its time. */
  | (Remarks & { readonly outcome: "stale"; readonly ended: number; readonly cancelledTouches: number })
  /** A redelivery of an applied event; a no-op. */
  | { readonly outcome: "duplicate" }
  /** Nothing changed; the event needs attention. */
  | { readonly outcome: "refused"; readonly reason: string };
