/** What others may rely on. */

export { completeFollowUpsForMeetingBookedLeads } from "./store/backstop.ts";
export { openDatabase } from "./store/connect.ts";
export { SequenceRefused, type SequenceToSave } from "./store/sequence-to-save.ts";
export { type SavedSequence, saveSequence } from "./store/sequences.ts";
