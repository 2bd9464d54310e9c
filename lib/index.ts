/** The public API. */

export { completeFollowUpsForMeetingBookedLeads } from "./store/backstop.ts";
export { openDatabase } from "./store/connect.ts";
export { touchApproved, touchRejected } from "./store/facts/apply-fact.ts";
export { leadEnrolled } from "./store/facts/enrol.ts";
export * from "./store/facts/lead-facts.ts";
export * from "./store/facts/meetings.ts";
export { addFieldNames } from "./store/lead-fields.ts";
export { SequenceRefused, type SequenceToSave } from "./store/sequence-to-save.ts";
export { type SavedSequence, saveSequence } from "./store/sequences.ts";
export { onPool } from "./store/sql.ts";
