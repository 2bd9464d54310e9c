import { FIRST_STEP, type Story } from "./story.ts";

const poison = { share: 0, workspace: 3, status: "active", due: [-2, -0.5] } as const;

/** Rows that the database accepts and that a person must repair. Each story belongs to one of the first leads. */
export const POISON: readonly Story[] = [
  { name: "no such zone", ...poison, sequences: ["no_response"], zone: "Mars/Olympus_Mons" },
  { name: "value missing", ...poison, sequences: ["needs_company"], lacks: ["company"] },
  { name: "template does not close", ...poison, sequences: ["syntax_error"] },
  { name: "filter does not exist", ...poison, sequences: ["unknown_filter"] },
  { name: "sequence without steps", ...poison, sequences: ["empty"] },
  { name: "beyond the last step", ...poison, sequences: ["no_response"], position: [9, 9] },
  { name: "step was sent before", ...poison, sequences: ["no_response"], position: FIRST_STEP, current: "sent" },
];
