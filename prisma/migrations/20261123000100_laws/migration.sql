-- The laws that hold whoever writes: docs/state-machine.md tells each in words.

-- Instances ---------------------------------------------------------------------------------------------------------

ALTER TABLE "follow_up_instance"
  ADD CONSTRAINT "active_has_next_step_due" CHECK (("status" = 'active') = ("next_step_due" IS NOT NULL)),
  ADD CONSTRAINT "paused_has_reason" CHECK (("status" = 'paused') = ("paused_reason" IS NOT NULL)),
  ADD CONSTRAINT "completed_has_completed_at" CHECK ("status" <> 'completed' OR "completed_at" IS NOT NULL),
  ADD CONSTRAINT "hold_has_reason_and_start" CHECK (("hold_reason" IS NULL) = ("held_since" IS NULL)),
  ADD CONSTRAINT "hold_only_while_active" CHECK ("hold_reason" IS NULL OR "status" = 'active'),
  ADD CONSTRAINT "look_again_only_while_paused" CHECK ("look_again_at" IS NULL OR "status" = 'paused'),
  ADD CONSTRAINT "generation_counts_from_one" CHECK ("generation" >= 1),
  ADD CONSTRAINT "instance_position_counts_from_one" CHECK ("position" >= 1);

CREATE UNIQUE INDEX "one_live_instance_per_lead_and_sequence"
  ON "follow_up_instance" ("lead_id", "sequence_id") WHERE "status" IN ('active', 'paused');

-- What the backstop has to complete: empty unless a booking has just been committed.
CREATE INDEX "follow_up_instance_orphan" ON "follow_up_instance" ("id")
  WHERE "status" IN ('active', 'paused') AND "lead_booked" AND NOT "post_booking";

-- What may be claimed. An instance of a booked lead is not in it, so no claim can see one.
CREATE INDEX "follow_up_instance_due" ON "follow_up_instance" ("workspace_id", "next_step_due", "id")
  WHERE "status" = 'active' AND (NOT "lead_booked" OR "post_booking");

-- Pauses that can end by themselves.
CREATE INDEX "follow_up_instance_look_again" ON "follow_up_instance" ("paused_reason", "look_again_at")
  WHERE "status" = 'paused' AND "look_again_at" IS NOT NULL;

-- What follows from a change of status or of the marker, so that a hand-typed one need not know it: since when the instance
-- has been an orphan, no hold outside active, no look again outside paused, and a pause that can end by itself is looked
-- at by the next run unless the writer says when.
CREATE FUNCTION "stamp_follow_up_instance"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (NEW."status" IN ('active', 'paused') AND NEW."lead_booked" AND NOT NEW."post_booking") THEN
    NEW."orphan_since" := NULL;
  ELSIF TG_OP = 'INSERT' OR OLD."orphan_since" IS NULL THEN
    NEW."orphan_since" := clock_timestamp();
  ELSE
    NEW."orphan_since" := OLD."orphan_since";
  END IF;
  IF NEW."status" <> 'active' THEN
    NEW."hold_reason" := NULL;
    NEW."held_since" := NULL;
  END IF;
  IF NEW."status" <> 'paused' THEN
    NEW."look_again_at" := NULL;
  ELSIF NEW."look_again_at" IS NULL AND NEW."paused_reason" IN ('lead_snoozed', 'lead_replied', 'awaiting_enrichment') THEN
    NEW."look_again_at" := clock_timestamp();
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_new_follow_up_instance" BEFORE INSERT ON "follow_up_instance"
  FOR EACH ROW WHEN (NEW."status" = 'paused' OR NEW."lead_booked") EXECUTE FUNCTION "stamp_follow_up_instance"();
CREATE TRIGGER "stamp_changed_follow_up_instance" BEFORE UPDATE ON "follow_up_instance"
  FOR EACH ROW WHEN (
    NEW."status" <> OLD."status" OR NEW."status" = 'paused'
    OR NEW."lead_booked" <> OLD."lead_booked" OR NEW."post_booking" <> OLD."post_booking")
  EXECUTE FUNCTION "stamp_follow_up_instance"();

-- Leads -------------------------------------------------------------------------------------------------------------

-- Each touch writes its lead; with room on the page no index has to follow.
ALTER TABLE "lead" SET (fillfactor = 85);

CREATE INDEX "lead_booked_until" ON "lead" ("booked_until") WHERE "booked_until" IS NOT NULL;

-- When a lead became booked is the database's to say, so that a hand-typed update is stamped too. A BEFORE trigger does
-- not see the generated column, hence the predicate again.
CREATE FUNCTION "stamp_booking"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (NEW."status" = 'meeting-booked' OR NEW."booked_until" IS NOT NULL) THEN
    NEW."booked_at" := NULL;
  ELSIF TG_OP = 'INSERT' OR NOT OLD."is_booked" THEN
    NEW."booked_at" := clock_timestamp();
  ELSE
    NEW."booked_at" := OLD."booked_at";
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_booking" BEFORE INSERT OR UPDATE OF "status", "booked_until", "booked_at" ON "lead"
  FOR EACH ROW EXECUTE FUNCTION "stamp_booking"();

-- What can end a pause early is looked at by the next run, not when the pause was meant to end.
CREATE FUNCTION "look_again_at_paused_instances"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE "follow_up_instance" SET "look_again_at" = clock_timestamp()
   WHERE "workspace_id" = NEW."workspace_id" AND "lead_id" = NEW."id"
     AND "status" = 'paused' AND "look_again_at" IS NOT NULL;
  RETURN NULL;
END $$;

CREATE TRIGGER "look_again_at_paused_instances"
  AFTER UPDATE OF "status", "automation_enabled", "opted_out_at", "snoozed_until", "enrichment_status", "email", "phone" ON "lead"
  FOR EACH ROW WHEN (
    NEW."status" IN ('new', 'qualified', 'meeting-requested') AND NEW."booked_until" IS NULL AND (
      OLD."status" <> NEW."status"
      OR OLD."automation_enabled" <> NEW."automation_enabled"
      OR OLD."opted_out_at" IS DISTINCT FROM NEW."opted_out_at"
      OR OLD."snoozed_until" IS DISTINCT FROM NEW."snoozed_until"
      OR OLD."enrichment_status" <> NEW."enrichment_status"
      OR OLD."email" IS DISTINCT FROM NEW."email"
      OR OLD."phone" IS DISTINCT FROM NEW."phone"))
  EXECUTE FUNCTION "look_again_at_paused_instances"();

-- Appointments ------------------------------------------------------------------------------------------------------

ALTER TABLE "appointment" ADD CONSTRAINT "appointment_ends_after_it_starts" CHECK ("ends_at" > "starts_at");

-- The lead is locked before the row is written: the foreign key would take a weaker lock first, and two bookings of one
-- lead at once would each wait for the other.
CREATE FUNCTION "lock_lead_of_appointment"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM "lead" WHERE "workspace_id" = NEW."workspace_id" AND "id" = NEW."lead_id" FOR UPDATE;
  RETURN NEW;
END $$;

CREATE TRIGGER "lock_lead_of_appointment" BEFORE INSERT OR UPDATE ON "appointment"
  FOR EACH ROW EXECUTE FUNCTION "lock_lead_of_appointment"();

CREATE FUNCTION "roll_up_booked_until"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record;
BEGIN
  FOR changed IN
    SELECT OLD."workspace_id" AS "workspace_id", OLD."lead_id" AS "lead_id" WHERE TG_OP <> 'INSERT'
    UNION
    SELECT NEW."workspace_id", NEW."lead_id" WHERE TG_OP <> 'DELETE'
  LOOP
    UPDATE "lead" SET "booked_until" = (
      SELECT max("ends_at") FROM "appointment"
       WHERE "workspace_id" = changed."workspace_id" AND "lead_id" = changed."lead_id"
         AND "status" = 'confirmed' AND "ends_at" > clock_timestamp())
     WHERE "workspace_id" = changed."workspace_id" AND "id" = changed."lead_id";
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER "roll_up_booked_until" AFTER INSERT OR UPDATE OR DELETE ON "appointment"
  FOR EACH ROW EXECUTE FUNCTION "roll_up_booked_until"();

-- Steps, touches, the rest ------------------------------------------------------------------------------------------

ALTER TABLE "follow_up_step"
  ADD CONSTRAINT "step_position_counts_from_one" CHECK ("position" >= 1),
  ADD CONSTRAINT "delay_is_not_negative" CHECK ("delay_minutes" >= 0),
  ADD CONSTRAINT "time_to_live_is_positive" CHECK ("time_to_live_minutes" > 0),
  ADD CONSTRAINT "email_has_subject" CHECK ("channel" <> 'email' OR coalesce(btrim("subject"), '') <> '');

ALTER TABLE "touch"
  ADD CONSTRAINT "claimed_has_next_attempt" CHECK (("status" = 'claimed') = ("next_attempt_at" IS NOT NULL)),
  ADD CONSTRAINT "sending_has_lease" CHECK (("status" = 'sending') = ("lease_until" IS NOT NULL)),
  ADD CONSTRAINT "sent_has_sent_at" CHECK ("status" <> 'sent' OR "sent_at" IS NOT NULL),
  ADD CONSTRAINT "attempts_are_not_negative" CHECK ("attempts" >= 0);

-- Touches that a booking still stops, and those that wait to be sent.
CREATE INDEX "touch_unsent" ON "touch" ("instance_id") WHERE "status" IN ('claimed', 'awaiting_approval');
CREATE INDEX "touch_to_send" ON "touch" ("next_attempt_at") WHERE "status" = 'claimed';
CREATE INDEX "touch_lease" ON "touch" ("lease_until") WHERE "status" = 'sending';

ALTER TABLE "workspace"
  ALTER COLUMN "window_days" SET NOT NULL,
  ALTER COLUMN "own_holidays" SET NOT NULL,
  ADD CONSTRAINT "window_days_are_iso_weekdays" CHECK ("window_days" <@ '{1,2,3,4,5,6,7}' AND cardinality("window_days") > 0),
  ADD CONSTRAINT "daily_cap_is_positive" CHECK ("daily_cap" > 0),
  ADD CONSTRAINT "gap_is_not_negative" CHECK ("gap_minutes" >= 0),
  ADD CONSTRAINT "ghosted_after_is_positive" CHECK ("ghosted_after_days" > 0);

ALTER TABLE "notification_digest"
  ADD CONSTRAINT "digest_window_is_not_empty" CHECK ("window_end" > "window_start"),
  ADD CONSTRAINT "sent_digest_has_sent_at" CHECK ("status" <> 'sent' OR "sent_at" IS NOT NULL);

ALTER TABLE "run" ADD CONSTRAINT "finished_has_success" CHECK (("finished_at" IS NULL) = ("success" IS NULL));

CREATE INDEX "run_started_at" ON "run" ("started_at");
CREATE INDEX "run_unfinished" ON "run" ("lock_pid") WHERE "finished_at" IS NULL;
CREATE INDEX "run_compared_at" ON "run" ("compared_at") WHERE "compared_at" IS NOT NULL;
