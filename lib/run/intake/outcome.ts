import type { EnrolmentVerdict } from "../../domain/enrolment.ts";

interface Remarks {
  /** How many leads it made, because it named nobody who was known. Absent where none. */
  readonly created?: number;
  /** What is wrong with the fact, which was applied all the same: what stops needs no more than the person. */
  readonly warnings?: readonly string[];
}

/** What became of a fact. */
export type FactOutcome =
  | (Remarks & {
      readonly outcome: "applied";
      /** Instances that it ended, touches that it kept from going out, instances that it started. */
      readonly ended: number;
      readonly cancelledTouches: number;
      readonly started: number;
      /** Of an enrolment: one verdict a lead, in the order of the event. */
      readonly verdicts?: readonly EnrolmentVerdict[];
    })
  /** Something later was known already. What it would have ended at its time is ended all the same. */
  | (Remarks & { readonly outcome: "stale"; readonly ended: number; readonly cancelledTouches: number })
  /** This event was applied before. */
  | { readonly outcome: "duplicate" }
  /** Nothing was changed: a person has to look. */
  | { readonly outcome: "refused"; readonly reason: string };
