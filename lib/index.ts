/** What others may rely on. */

export { completeFollowUpsForMeetingBookedLeads } from "./store/backstop.ts";
export { openDatabase } from "./store/connect.ts";
export { type SavedSequence, SequenceRefused, type SequenceToSave, saveSequence } from "./store/sequences.ts";
