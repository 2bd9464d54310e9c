/** Why a touch is not approved, rejected or retried, or an instance not reopened, and what to do. */
const REFUSAL_TEXTS: Readonly<Record<string, string>> = {
  not_found: "no row has this id",
  already_decided: "it was already approved or rejected; nothing was changed",
  not_waiting: "it does not need approval",
  instance_not_waiting: "its sequence has moved on from this step",
  cancelled: "it was cancelled, because its sequence was stopped",
  expired: "its time to live is over: it is not sent, and the sequence continues",
  text_changed:
    "the fingerprint does not match the current text: the template or the lead's data has changed; read the text again " +
    "with `approvals show`",
  missing_data: "the template uses a value that the lead lacks; add the value to the lead, or reject the touch",
  invalid_template: "the step's template is no longer valid; correct it, or reject the touch",
  no_free_slots: "the text offers times, and none is free at a good hour; it can be approved once there is one",
  availability_outdated:
    "the text offers times, and no booking tool reported free times recently enough; try again later",
  step_changed: "its step now uses another channel; reject the touch, and the sequence continues",
  unreadable_row: "the row of its lead or its sequence is invalid; `leads show` shows the error",
  meeting_booked: "the lead has booked a meeting",
  opted_out: "the lead has opted out",
  complained: "the lead reported a message as spam",
  undeliverable_address: "the lead's address does not accept messages",
  blacklisted: "the lead is blacklisted",
  unqualified: "the lead is unqualified",
  not_interested: "the lead is not interested",
  automation_off: "automation is off for the lead",
  lead_replied: "the lead replied after our last message",
  instance_cancelled: "its sequence was cancelled",
  is_live: "it has not ended: it is active or paused",
  another_is_live: "another instance of the same sequence is active or paused for the lead",
  out_of_steps: "every step was sent: no step is left",
  sequence_ended: "its sequence was stopped",
  later_step_went_out: "a later step of its sequence went out",
  time_to_live_over: "its time to live is over",
};

/** The text of a refusal, or the reason itself if it has no text. */
export const refusalText = (reason: string): string => REFUSAL_TEXTS[reason] ?? reason;
