/** The public API. */

export { completeFollowUpsForMeetingBookedLeads } from "./store/backstop.ts";
export { openDatabase } from "./store/connect.ts";
export { leadBounced } from "./store/facts/bounce-facts.ts";
export { leadComplained, leadOptedIn, leadOptedOut } from "./store/facts/consent-facts.ts";
export { leadEnrolled } from "./store/facts/enrol.ts";
export * from "./store/facts/lead-facts.ts";
export * from "./store/facts/meetings.ts";
export * from "./store/facts/touch-facts.ts";
export { addFieldNames } from "./store/lead-fields.ts";
export { SequenceRefused, type SequenceToSave } from "./store/sequence-to-save.ts";
export { type SavedSequence, saveSequence } from "./store/sequences.ts";
export { onPool } from "./store/sql.ts";
