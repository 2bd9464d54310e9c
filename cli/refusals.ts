/** Why an approval, a rejection or a reopening was refused, in words, and what to do. */
const REFUSALS: Readonly<Record<string, string>> = {
  not_found: "there is none of that id",
  already_decided: "somebody has approved or rejected it already; nothing was changed",
  not_waiting: "it does not wait for approval",
  instance_not_waiting: "its sequence does not stand there any more",
  cancelled: "it was cancelled, for its sequence was stopped",
  expired: "its time to live is over: it is not sent, and the sequence goes on",
  text_changed:
    "that is not the fingerprint of the text as it is now: the template or the lead's data has changed it; look at it again " +
    "with `npm run backstop -- approvals show`",
  missing_data: "the template asks for a value that the lead lacks; add it to the lead, or reject the touch",
  invalid_template: "the step's template cannot be rendered any more; correct it, or reject the touch",
  step_changed: "its step goes by another channel now; reject it, and the sequence goes on",
  unreadable_row:
    "the row of its lead or its sequence cannot be read; `npm run backstop -- explain` on the instance says why",
  meeting_booked: "the lead has booked a meeting",
  opted_out: "the lead wants no more messages",
  complained: "the lead complained of a message",
  undeliverable_address: "the address of the lead takes no messages; correct it, or reject the touch",
  blacklisted: "the lead is blacklisted",
  unqualified: "the lead is unqualified",
  not_interested: "the lead is not interested",
  automation_off: "automation is switched off for the lead",
  lead_replied: "the lead has replied since our last message: answer, or reject the touch",
  instance_cancelled: "its sequence was cancelled",
  is_live: "it has not ended: it is active or paused",
  another_is_live: "the lead is in that sequence by another instance, which is active or paused",
  out_of_steps: "no step is left that has not been sent",
};

/** The reason in words, or the reason itself if it has no entry. */
export const inWords = (reason: string): string => REFUSALS[reason] ?? reason;
