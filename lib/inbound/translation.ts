import type * as z from "zod";
import type { FACT_SCHEMAS, FactType } from "./facts.ts";

/** A fact as a translator writes it: the detail type of its event, and its detail. */
export type TranslatedFact = {
  readonly [Type in FactType]: { readonly type: Type; readonly detail: z.input<(typeof FACT_SCHEMAS)[Type]> };
}[FactType];

/** An event for the bus: a fact, or something that only the intake can judge. */
export interface BusEvent {
  readonly type: string;
  readonly detail: object;
}

/**
 * The result of translating a payload of another system. Translators are pure. They derive event ids from the payload,
 * so that a redelivery gives the same facts. Reasons hold no personal data.
 */
export type Translation =
  | { readonly kind: "facts"; readonly facts: readonly TranslatedFact[] }
  /** The payload is valid and concerns no lead. */
  | { readonly kind: "ignored"; readonly reason: string }
  /** The payload is not what the system documents. */
  | { readonly kind: "fault"; readonly reason: string };

export const fault = (reason: string): Translation => ({ kind: "fault", reason });
export const ignored = (reason: string): Translation => ({ kind: "ignored", reason });
