-- The rules that hold for every writer; docs/state-machine.md explains each. Every function either sets its search_path
-- or has a body that is bound when it is created (RETURN), so that a temporary table or another schema cannot replace
-- ours. pg_temp is last: unlisted, it is first.

-- Workspaces ---------------------------------------------------------------------------------------------------------

ALTER TABLE "workspace"
  ADD CONSTRAINT "window_days_are_iso_weekdays"
    CHECK ("window_days" <@ '{1,2,3,4,5,6,7}' AND cardinality("window_days") > 0),
  ADD CONSTRAINT "daily_cap_is_positive" CHECK ("daily_cap" > 0),
  ADD CONSTRAINT "cap_used_is_not_negative" CHECK ("cap_used" >= 0),
  ADD CONSTRAINT "gap_is_not_negative" CHECK ("gap_minutes" >= 0),
  ADD CONSTRAINT "ghosted_after_is_positive" CHECK ("ghosted_after_days" > 0),
  -- A century of silence stands for "never". Beyond it, the end of a pause is not a valid timestamp.
  ADD CONSTRAINT "ghosted_within_a_century" CHECK ("ghosted_after_days" <= 36500),
  ADD CONSTRAINT "digest_time_is_of_one_day" CHECK ("digest_time" < '24:00'),
  -- `a@b` or `Name <a@b>`, with special characters in the name only between quotes. `SENDER_PATTERN` has the same text.
  ADD CONSTRAINT "email_from_is_one_address" CHECK ("email_from" ~
    '^([^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+@[^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+|("([^"\\\x01-\x1f\x7f]|\\[^\x01-\x1f\x7f])*"|[^\[\]"(),:;<>@\\\x01-\x1f\x7f]*) *<[^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+@[^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+>)$');

CREATE FUNCTION "reset_next_digest"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  NEW."next_digest_at" := '-infinity';
  RETURN NEW;
END $$;

-- The next run computes when the window ends.
CREATE TRIGGER "reset_next_digest" BEFORE UPDATE OF "digest_time", "time_zone" ON "workspace"
  FOR EACH ROW WHEN (NEW."digest_time" <> OLD."digest_time" OR NEW."time_zone" <> OLD."time_zone")
  EXECUTE FUNCTION "reset_next_digest"();

-- Leads --------------------------------------------------------------------------------------------------------------

-- Each touch updates its lead. Free space on the page lets the update skip the indexes (HOT).
ALTER TABLE "lead" SET (fillfactor = 85);

-- Not unique: two people may share an address or a number.
CREATE INDEX "lead_normalised_email" ON "lead" ("workspace_id", "normalised_email") WHERE "normalised_email" IS NOT NULL;
CREATE INDEX "lead_normalised_phone" ON "lead" ("workspace_id", "normalised_phone") WHERE "normalised_phone" IS NOT NULL;
CREATE INDEX "lead_booked_until" ON "lead" ("booked_until") WHERE "booked_until" IS NOT NULL;

-- The form in which addresses are compared: no invisible characters, no blanks around, `Bob <b@x>` and `mailto:b@x` are
-- `b@x`, ASCII letters in lower case. lib/domain/address.ts has the same rule; only that code converts domains to ASCII.
CREATE FUNCTION "normalise_email"(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN (
  SELECT nullif(lower(rtrim(btrim(regexp_replace(btrim(coalesce(substring("visible" FROM '^[^<>]*<([^<>]*)>$'), "visible"),
           E' \t\n\v\f\r'), '^mailto:', '', 'i'), E' \t\n\v\f\r'), '.') COLLATE "C"), '')
    FROM btrim(translate($1, E'\u00a0\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e'
           || E'\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff', ''),
           E' \t\n\v\f\r') AS "visible"
);

-- Digits, with a leading plus for the international prefix 00.
CREATE FUNCTION "normalise_phone"(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN (
  SELECT substring(regexp_replace(regexp_replace($1, '[^0-9+]', '', 'g'), '^00', '+') FROM '.*[0-9].*')
);

-- The hash of a suppressed address or number. It differs in each workspace.
CREATE FUNCTION "suppression_hash"("workspace_id" uuid, "normalised" text) RETURNS bytea
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN sha256(convert_to("workspace_id"::text || ' ' || "normalised", 'UTF8'));

-- A suppression finds its leads through these indexes.
CREATE INDEX "lead_email_hash" ON "lead" (suppression_hash("workspace_id", "normalised_email"))
  WHERE "normalised_email" IS NOT NULL;
CREATE INDEX "lead_phone_hash" ON "lead" (suppression_hash("workspace_id", "normalised_phone"))
  WHERE "normalised_phone" IS NOT NULL;

ALTER TABLE "lead" ADD CONSTRAINT "undeliverable_skips_a_channel_only" CHECK ("suppressed_reason" <> 'undeliverable');

-- Stamps the normalised forms and their suppressions. Not generated columns: with a BEFORE UPDATE trigger on the table,
-- PostgreSQL would compute those at every update.
CREATE FUNCTION "stamp_addresses"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  NEW."normalised_email" := normalise_email(NEW."email");
  NEW."normalised_phone" := normalise_phone(NEW."phone");
  SELECT max("reason") FILTER (WHERE "reason" <> 'undeliverable'),
         coalesce(bool_or("reason" = 'undeliverable' AND "kind" = 'email'), false),
         coalesce(bool_or("reason" = 'undeliverable' AND "kind" = 'phone'), false)
    INTO NEW."suppressed_reason", NEW."email_undeliverable", NEW."phone_undeliverable"
    FROM "suppression"
   WHERE "workspace_id" = NEW."workspace_id"
     AND "hash" IN (suppression_hash(NEW."workspace_id", NEW."normalised_email"),
                    suppression_hash(NEW."workspace_id", NEW."normalised_phone"));
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_addresses"
  BEFORE INSERT OR UPDATE OF "workspace_id", "email", "phone", "normalised_email", "normalised_phone",
    "suppressed_reason", "email_undeliverable", "phone_undeliverable"
  ON "lead"
  FOR EACH ROW EXECUTE FUNCTION "stamp_addresses"();

-- Leads whose live instances the next run has to check: empty unless a direct write ended a booking or barred a lead.
CREATE INDEX "lead_stop_cause" ON "lead" ("id") WHERE "stop_cause" IS NOT NULL;
ALTER TABLE "lead" ADD CONSTRAINT "stop_cause_is_known"
  CHECK ("stop_cause" IN ('barred', 'unbooked', 'meeting_cancelled', 'meeting_missed'));

-- An opt-out of a lead also suppresses its address and its number, including those that it gets later.
CREATE FUNCTION "suppress_opted_out_lead"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO "suppression" ("workspace_id", "hash", "reason", "kind", "since", "source")
  SELECT NEW."workspace_id", suppression_hash(NEW."workspace_id", "address"), 'opted_out', "kind", NEW."opted_out_at", 'lead'
    FROM (VALUES (NEW."normalised_email", 'email'::address_kind), (NEW."normalised_phone", 'phone')) AS own ("address", "kind")
   WHERE "address" IS NOT NULL
   ORDER BY 2
      ON CONFLICT ("workspace_id", "hash", "reason") DO UPDATE SET "since" = excluded."since"
   WHERE excluded."since" < "suppression"."since";
  RETURN NULL;
END $$;

CREATE TRIGGER "suppress_opted_out_lead" AFTER INSERT OR UPDATE OF "opted_out_at", "email", "phone" ON "lead"
  FOR EACH ROW WHEN (NEW."opted_out_at" IS NOT NULL) EXECUTE FUNCTION "suppress_opted_out_lead"();

-- A suppression applies to every lead with its address. The update fires `stamp_addresses` again.
CREATE FUNCTION "flag_suppressed_leads"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  changed bytea;
BEGIN
  FOR changed IN
    SELECT OLD."hash" WHERE TG_OP <> 'INSERT'
    UNION
    SELECT NEW."hash" WHERE TG_OP <> 'DELETE'
  LOOP
    PERFORM 1 FROM "lead"
      WHERE (suppression_hash("workspace_id", "normalised_email") = changed AND "normalised_email" IS NOT NULL)
         OR (suppression_hash("workspace_id", "normalised_phone") = changed AND "normalised_phone" IS NOT NULL)
      ORDER BY "id"
        FOR NO KEY UPDATE;
    UPDATE "lead"
       SET "suppressed_reason" = "suppressed_reason", "email_undeliverable" = "email_undeliverable",
           "phone_undeliverable" = "phone_undeliverable"
     WHERE (suppression_hash("workspace_id", "normalised_email") = changed AND "normalised_email" IS NOT NULL)
        OR (suppression_hash("workspace_id", "normalised_phone") = changed AND "normalised_phone" IS NOT NULL);
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER "flag_suppressed_leads" AFTER INSERT OR DELETE OR UPDATE OF "workspace_id", "hash", "reason", "kind" ON "suppression"
  FOR EACH ROW EXECUTE FUNCTION "flag_suppressed_leads"();

-- Stamps when a lead became booked, also for a hand-typed update. A missed meeting no longer counts once another
-- meeting is booked or the status changes: a status that becomes meeting-booked is a booking, one that stays it is not.
-- The generated column is not visible to a BEFORE trigger, so its definition is repeated.
CREATE FUNCTION "stamp_booking"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW."booked_until" IS NOT NULL THEN
    NEW."missed_at" := NULL;
  ELSIF TG_OP = 'UPDATE' AND NEW."status" <> OLD."status" AND NEW."missed_at" IS NOT DISTINCT FROM OLD."missed_at" THEN
    NEW."missed_at" := NULL;
  END IF;
  IF NOT ((NEW."status" = 'meeting-booked' AND NEW."missed_at" IS NULL) OR NEW."booked_until" IS NOT NULL) THEN
    NEW."booked_at" := NULL;
  ELSIF TG_OP = 'INSERT' OR NOT OLD."is_booked" THEN
    NEW."booked_at" := clock_timestamp();
  ELSE
    NEW."booked_at" := OLD."booked_at";
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_booking" BEFORE INSERT OR UPDATE OF "status", "booked_until", "booked_at", "missed_at" ON "lead"
  FOR EACH ROW EXECUTE FUNCTION "stamp_booking"();

-- Marks a lead whose sequences may have to stop; the next run stops them (lib/store/stops.ts). A booking that ran out
-- with its meeting stops nothing, and another booking removes the mark. Triggers fire by name: this one after
-- stamp_addresses and stamp_booking.
CREATE FUNCTION "stamp_stop_cause"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  suppressed CONSTANT boolean := NEW."opted_out_at" IS NOT NULL OR NEW."suppressed_reason" IS NOT NULL;
  barred CONSTANT boolean := suppressed OR NEW."status" IN ('not-interested', 'unqualified', 'blacklisted');
  booked CONSTANT boolean := NEW."booked_at" IS NOT NULL;
  ran_out CONSTANT boolean := OLD."booked_until" <= clock_timestamp() AND NEW."status" = OLD."status"
    AND NEW."missed_at" IS NOT DISTINCT FROM OLD."missed_at";
BEGIN
  IF NEW."booked_until" IS NOT NULL OR (booked AND NOT OLD."is_booked") THEN
    -- A booking by status alone has no meeting to prepare, so a mark that ends a preparation stays.
    NEW."stop_cause" := CASE WHEN barred AND NEW."stop_cause" IS NOT NULL THEN 'barred'
      WHEN NEW."booked_until" IS NULL AND NEW."stop_cause" IN ('meeting_cancelled', 'meeting_missed') THEN NEW."stop_cause" END;
  ELSIF OLD."is_booked" AND NOT booked AND ran_out IS NOT TRUE THEN
    NEW."stop_cause" := coalesce(nullif(NEW."stop_cause", 'barred'), 'unbooked');
  END IF;
  IF (barred AND NEW."status" <> OLD."status")
     OR (suppressed AND OLD."opted_out_at" IS NULL AND OLD."suppressed_reason" IS NULL) THEN
    NEW."stop_cause" := coalesce(NEW."stop_cause", 'barred');
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_stop_cause"
  BEFORE UPDATE OF "status", "booked_until", "booked_at", "missed_at", "opted_out_at", "email", "phone", "suppressed_reason"
  ON "lead"
  FOR EACH ROW EXECUTE FUNCTION "stamp_stop_cause"();

-- A pause is rechecked when time ends it, else when one of these changes can end it; nothing rechecks it in between.
CREATE FUNCTION "recheck_paused_instances"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "workspace_id" = NEW."workspace_id" AND "lead_id" = NEW."id"
     AND "paused_reason" IN ('lead_snoozed', 'lead_replied', 'awaiting_enrichment');
  RETURN NULL;
END $$;

-- A change of send or reply times counts only if it can end a pause: the lead's reply is answered, or the silence began
-- at another time. A send to a lead that never replied costs one comparison.
CREATE TRIGGER "recheck_paused_instances"
  AFTER UPDATE OF "status", "automation_enabled", "opted_out_at", "suppressed_reason", "email_undeliverable",
    "phone_undeliverable", "snoozed_until", "enrichment_status", "email", "phone", "last_inbound_at", "last_outbound_at"
  ON "lead"
  FOR EACH ROW WHEN (
    NEW."status" NOT IN ('blacklisted', 'unqualified', 'not-interested') AND (
      (OLD."status" <> NEW."status" AND NOT NEW."is_booked")
      OR OLD."automation_enabled" <> NEW."automation_enabled"
      OR OLD."opted_out_at" IS DISTINCT FROM NEW."opted_out_at"
      OR OLD."suppressed_reason" IS DISTINCT FROM NEW."suppressed_reason"
      OR OLD."email_undeliverable" <> NEW."email_undeliverable"
      OR OLD."phone_undeliverable" <> NEW."phone_undeliverable"
      OR OLD."snoozed_until" IS DISTINCT FROM NEW."snoozed_until"
      OR OLD."enrichment_status" <> NEW."enrichment_status"
      OR OLD."email" IS DISTINCT FROM NEW."email"
      OR OLD."phone" IS DISTINCT FROM NEW."phone"
      OR (NEW."last_outbound_at" > NEW."last_inbound_at"
          AND (OLD."last_outbound_at" > OLD."last_inbound_at" AND OLD."last_inbound_at" = NEW."last_inbound_at")
              IS NOT TRUE)))
  EXECUTE FUNCTION "recheck_paused_instances"();

-- All pauses of the workspace, also those that are due: a run may be rechecking them with the workspace's old values.
CREATE FUNCTION "recheck_pauses_of_workspace"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "workspace_id" = NEW."id" AND "status" = 'paused' AND "recheck_at" IS NOT NULL
     AND "paused_reason" IN ('lead_snoozed', 'lead_replied', 'awaiting_enrichment');
  RETURN NULL;
END $$;

CREATE TRIGGER "recheck_pauses_of_workspace" AFTER UPDATE OF "paused_at", "ghosted_after_days" ON "workspace"
  FOR EACH ROW WHEN (
    (OLD."paused_at" IS NOT NULL AND NEW."paused_at" IS NULL) OR OLD."ghosted_after_days" <> NEW."ghosted_after_days")
  EXECUTE FUNCTION "recheck_pauses_of_workspace"();

-- Appointments -------------------------------------------------------------------------------------------------------

ALTER TABLE "appointment" ADD CONSTRAINT "appointment_ends_after_it_starts" CHECK ("ends_at" > "starts_at");

-- Locks the lead before the row is written: the foreign key would take a weaker lock first, and two bookings of one
-- lead would deadlock. A meeting that is deleted or moved locks the lead it leaves too; otherwise the roll-up, with a
-- snapshot from before that lead's latest booking, erases the booking. Locks are taken in id order to avoid deadlocks.
CREATE FUNCTION "lock_lead_of_appointment"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM 1 FROM "lead"
    WHERE ("workspace_id" = NEW."workspace_id" AND "id" = NEW."lead_id")
       OR ("workspace_id" = OLD."workspace_id" AND "id" = OLD."lead_id")
    ORDER BY "id"
      FOR UPDATE;
  RETURN coalesce(NEW, OLD);
END $$;

CREATE TRIGGER "lock_lead_of_appointment" BEFORE INSERT OR UPDATE OR DELETE ON "appointment"
  FOR EACH ROW EXECUTE FUNCTION "lock_lead_of_appointment"();

-- A meeting that is cancelled or missed now, or no longer ahead of its lead, also marks a lead that has or had a
-- post-booking sequence: see stamp_stop_cause.
CREATE FUNCTION "roll_up_booked_until"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  same_lead CONSTANT boolean := TG_OP = 'UPDATE' AND NEW."lead_id" = OLD."lead_id";
  was_ahead CONSTANT boolean := OLD."status" = 'confirmed' AND OLD."ends_at" > clock_timestamp();
  changed record;
BEGIN
  FOR changed IN
    SELECT OLD."workspace_id" AS "workspace_id", OLD."lead_id" AS "lead_id",
           CASE WHEN was_ahead THEN 'meeting_cancelled' END AS "cause"
     WHERE TG_OP <> 'INSERT' AND NOT same_lead
    UNION ALL
    SELECT NEW."workspace_id", NEW."lead_id",
           CASE WHEN NEW."status" <> 'confirmed' AND NOT (same_lead AND NEW."status" = OLD."status")
                  THEN 'meeting_' || NEW."status"
                WHEN same_lead AND was_ahead AND NEW."ends_at" <= clock_timestamp() THEN 'meeting_cancelled' END
     WHERE TG_OP <> 'DELETE'
  LOOP
    UPDATE "lead" SET "booked_until" = (
      SELECT max("ends_at") FROM "appointment"
       WHERE "workspace_id" = changed."workspace_id" AND "lead_id" = changed."lead_id"
         AND "status" = 'confirmed' AND "ends_at" > clock_timestamp()),
       "stop_cause" = coalesce(
         (SELECT changed."cause" FROM "follow_up_instance"
           WHERE "workspace_id" = changed."workspace_id" AND "lead_id" = changed."lead_id" AND "post_booking" LIMIT 1),
         "stop_cause")
     WHERE "workspace_id" = changed."workspace_id" AND "id" = changed."lead_id";
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER "roll_up_booked_until" AFTER INSERT OR UPDATE OR DELETE ON "appointment"
  FOR EACH ROW EXECUTE FUNCTION "roll_up_booked_until"();

-- Sequences and steps ------------------------------------------------------------------------------------------------

ALTER TABLE "follow_up_sequence" ADD CONSTRAINT "sequence_version_counts_from_one" CHECK ("version" >= 1);

ALTER TABLE "follow_up_step"
  ADD CONSTRAINT "step_version_counts_from_one" CHECK ("version" >= 1),
  ADD CONSTRAINT "key_is_a_short_word" CHECK ("key" ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length("key") <= 64),
  ADD CONSTRAINT "step_position_counts_from_one" CHECK ("position" >= 1),
  ADD CONSTRAINT "delay_is_not_negative" CHECK ("delay_minutes" >= 0),
  ADD CONSTRAINT "time_to_live_is_positive" CHECK ("time_to_live_minutes" > 0),
  ADD CONSTRAINT "email_has_subject" CHECK ("channel" <> 'email' OR coalesce(btrim("subject"), '') <> '');

-- Steps never move under the leads that are in the sequence: docs/adr/0013.
CREATE FUNCTION "reject_moved_step"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'a step keeps its sequence, version, position and key: write a new version of the sequence'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'step_keeps_its_place';
END $$;

CREATE TRIGGER "step_keeps_its_place" BEFORE UPDATE ON "follow_up_step"
  FOR EACH ROW WHEN (
    NEW."sequence_id" <> OLD."sequence_id" OR NEW."version" <> OLD."version"
    OR NEW."position" <> OLD."position" OR NEW."key" <> OLD."key")
  EXECUTE FUNCTION "reject_moved_step"();

-- Which address a step needs decides whether it waits for enrichment.
CREATE FUNCTION "recheck_pauses_of_step"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  changed "follow_up_step" := coalesce(NEW, OLD);
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "sequence_id" = changed."sequence_id" AND "version" = changed."version" AND "status" = 'paused'
     AND "recheck_at" IS NOT NULL AND "paused_reason" = 'awaiting_enrichment';
  RETURN NULL;
END $$;

CREATE TRIGGER "recheck_pauses_of_step" AFTER INSERT OR DELETE ON "follow_up_step"
  FOR EACH ROW EXECUTE FUNCTION "recheck_pauses_of_step"();
CREATE TRIGGER "recheck_pauses_of_changed_step" AFTER UPDATE OF "channel" ON "follow_up_step"
  FOR EACH ROW WHEN (OLD."channel" <> NEW."channel") EXECUTE FUNCTION "recheck_pauses_of_step"();

CREATE FUNCTION "reject_older_version"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the version of a sequence never decreases'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'version_never_decreases';
END $$;

CREATE TRIGGER "version_never_decreases" BEFORE UPDATE ON "follow_up_sequence"
  FOR EACH ROW WHEN (NEW."version" < OLD."version") EXECUTE FUNCTION "reject_older_version"();

-- Instances ----------------------------------------------------------------------------------------------------------

ALTER TABLE "follow_up_instance"
  ADD CONSTRAINT "active_has_next_step_due" CHECK (("status" = 'active') = ("next_step_due" IS NOT NULL)),
  ADD CONSTRAINT "paused_has_reason" CHECK (("status" = 'paused') = ("paused_reason" IS NOT NULL)),
  ADD CONSTRAINT "completed_has_completed_at" CHECK ("status" <> 'completed' OR "completed_at" IS NOT NULL),
  ADD CONSTRAINT "hold_has_reason_and_start" CHECK (("hold_reason" IS NULL) = ("held_since" IS NULL)),
  ADD CONSTRAINT "hold_only_while_active" CHECK ("hold_reason" IS NULL OR "status" = 'active'),
  ADD CONSTRAINT "recheck_only_while_paused" CHECK ("recheck_at" IS NULL OR "status" = 'paused'),
  ADD CONSTRAINT "generation_counts_from_one" CHECK ("generation" >= 1),
  ADD CONSTRAINT "instance_position_counts_from_one" CHECK ("position" >= 1);

-- The instances that the backstop must complete: empty unless a booking has just been committed.
CREATE INDEX "follow_up_instance_orphan" ON "follow_up_instance" ("id")
  WHERE "status" IN ('active', 'paused') AND "lead_booked" AND NOT "post_booking";

-- The instances that may be claimed. Instances of booked leads are not in it, so no claim can see one.
CREATE INDEX "follow_up_instance_due" ON "follow_up_instance" ("workspace_id", "next_step_due", "id")
  WHERE "status" = 'active' AND (NOT "lead_booked" OR "post_booking");

-- Pauses that can end by themselves.
CREATE INDEX "follow_up_instance_recheck" ON "follow_up_instance" ("paused_reason", "recheck_at")
  WHERE "status" = 'paused' AND "recheck_at" IS NOT NULL;

-- Instances that wait for a person. An index of touches by status would change at each send.
CREATE INDEX "follow_up_instance_awaiting_approval" ON "follow_up_instance" ("workspace_id", "id")
  WHERE "paused_reason" = 'awaiting_approval';

-- Keeps the columns that follow from status and marker, so that a hand-typed update need not know them: when the
-- instance became an orphan; no hold outside active; no recheck outside paused. A pause that can end by itself is
-- rechecked by the next run unless the writer sets a time; infinity stands for "when something changes". A change of
-- what the pause waits for, on the instance itself, is such a change.
CREATE FUNCTION "stamp_follow_up_instance"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
    NEW."recheck_at" := NULL;
  ELSIF NEW."recheck_at" IS NULL
        AND NEW."paused_reason" IN ('lead_snoozed', 'lead_replied', 'awaiting_enrichment') THEN
    NEW."recheck_at" := clock_timestamp();
  ELSIF TG_OP = 'UPDATE' AND NEW."recheck_at" IS NOT DISTINCT FROM OLD."recheck_at"
        AND NEW."paused_reason" IN ('lead_snoozed', 'lead_replied', 'awaiting_enrichment')
        AND ((OLD."lead_booked" AND NOT NEW."lead_booked") OR (NEW."post_booking" AND NOT OLD."post_booking")
          OR (NEW."paused_reason", NEW."lead_id", NEW."sequence_id", NEW."version", NEW."position")
             IS DISTINCT FROM
             (OLD."paused_reason", OLD."lead_id", OLD."sequence_id", OLD."version", OLD."position")) THEN
    NEW."recheck_at" := clock_timestamp();
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_new_follow_up_instance" BEFORE INSERT ON "follow_up_instance"
  FOR EACH ROW WHEN (NEW."status" = 'paused' OR NEW."lead_booked" OR NEW."orphan_since" IS NOT NULL)
  EXECUTE FUNCTION "stamp_follow_up_instance"();
CREATE TRIGGER "stamp_changed_follow_up_instance" BEFORE UPDATE ON "follow_up_instance"
  FOR EACH ROW WHEN (
    NEW."status" <> OLD."status" OR NEW."status" = 'paused'
    OR NEW."lead_booked" <> OLD."lead_booked" OR NEW."post_booking" <> OLD."post_booking"
    OR NEW."orphan_since" IS DISTINCT FROM OLD."orphan_since")
  EXECUTE FUNCTION "stamp_follow_up_instance"();

-- A start, and a new generation that begins at the first step, take the sequence's current version. A generation that
-- starts further down keeps the steps of the one before. Nothing else changes the version.
CREATE FUNCTION "stamp_version"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW."sequence_id" = OLD."sequence_id"
     AND (NEW."generation" = OLD."generation" OR NEW."position" > 1) THEN
    NEW."version" := OLD."version";
  ELSE
    -- A missing sequence is reported by the foreign key.
    NEW."version" := coalesce((SELECT "version" FROM "follow_up_sequence" WHERE "id" = NEW."sequence_id"), 1);
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_version_of_new_instance" BEFORE INSERT ON "follow_up_instance"
  FOR EACH ROW EXECUTE FUNCTION "stamp_version"();
CREATE TRIGGER "stamp_version_of_changed_instance" BEFORE UPDATE ON "follow_up_instance"
  FOR EACH ROW WHEN (
    NEW."version" <> OLD."version" OR NEW."generation" <> OLD."generation" OR NEW."sequence_id" <> OLD."sequence_id")
  EXECUTE FUNCTION "stamp_version"();

ALTER TABLE "reopening"
  ADD CONSTRAINT "reopening_begins_a_generation" CHECK ("generation" > 1),
  ADD CONSTRAINT "reopening_was_of_what_had_ended" CHECK ("ended_as" IN ('completed', 'cancelled'));

-- Touches ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION "message_fingerprint"("subject" text, "body" text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN encode(sha256(convert_to(coalesce("subject", '') || E'\n' || "body", 'UTF8')), 'hex');

ALTER TABLE "touch"
  ADD CONSTRAINT "claimed_has_next_attempt" CHECK (("status" = 'claimed') = ("next_attempt_at" IS NOT NULL)),
  ADD CONSTRAINT "sent_has_sent_at" CHECK ("status" <> 'sent' OR "sent_at" IS NOT NULL),
  ADD CONSTRAINT "attempts_are_not_negative" CHECK ("attempts" >= 0),
  ADD CONSTRAINT "failures_are_among_attempts" CHECK ("failures" BETWEEN 0 AND "attempts"),
  ADD CONSTRAINT "waiting_has_its_fingerprint"
    CHECK ("status" <> 'awaiting_approval' OR "fingerprint" IS NOT DISTINCT FROM message_fingerprint("subject", "body")),
  -- An attempt of unknown outcome may have arrived. Such a touch ends as `unknown`: lib/store/unsent-touches.ts. Before
  -- an approval there is no attempt.
  ADD CONSTRAINT "what_may_have_arrived_is_not_cancelled"
    CHECK ("unknown_attempt_at" IS NULL OR "status" NOT IN ('awaiting_approval', 'cancelled', 'expired', 'rejected')),
  ADD CONSTRAINT "decision_has_time_and_person" CHECK (("decided_at" IS NULL) = ("decided_by" IS NULL)),
  ADD CONSTRAINT "rejected_by_somebody" CHECK ("status" <> 'rejected' OR "decided_at" IS NOT NULL),
  ADD CONSTRAINT "unsent_touch_is_rechecked" CHECK (
    CASE WHEN "status" IN ('claimed', 'sending') THEN "recheck_at" IS NOT NULL
         WHEN "status" = 'awaiting_approval' THEN "recheck_at" IS NOT DISTINCT FROM "expires_at"
         ELSE "recheck_at" IS NULL END);

-- A lease and the time of another attempt are one column: moving a touch to `sending` then changes no indexed column.
-- Free space on the page keeps that update off the indexes (HOT).
ALTER TABLE "touch" SET (fillfactor = 70);
CREATE INDEX "touch_recheck" ON "touch" ("recheck_at", "id") WHERE "recheck_at" IS NOT NULL;

-- Stamps the fingerprint and the recheck time of a text that waits for approval. Inserts only: a trigger before updates
-- would lock each row twice, also rows that never wait.
CREATE FUNCTION "stamp_waiting_touch"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  NEW."fingerprint" := message_fingerprint(NEW."subject", NEW."body");
  NEW."recheck_at" := NEW."expires_at";
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_waiting_touch" BEFORE INSERT ON "touch"
  FOR EACH ROW WHEN (NEW."status" = 'awaiting_approval') EXECUTE FUNCTION "stamp_waiting_touch"();

-- Tasks --------------------------------------------------------------------------------------------------------------

ALTER TABLE "task" ADD CONSTRAINT "task_is_done_or_cancelled" CHECK ("done_at" IS NULL OR "cancelled_at" IS NULL);

-- The touch of a task may have started just before its instance was stopped. FOR KEY SHARE waits for a stop that is not
-- committed yet, as a stop changes "live", which is part of a key, and reads the instance as it is then.
CREATE FUNCTION "stamp_cancelled_task"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  stopped boolean;
BEGIN
  SELECT instance."generation" <> "touch"."generation" OR instance."status" = 'cancelled'
         OR (instance."status" = 'completed' AND instance."completed_reason" IS DISTINCT FROM 'out_of_steps')
    INTO stopped
    FROM "touch"
    JOIN "follow_up_instance" AS instance ON instance."id" = "touch"."instance_id"
   WHERE "touch"."workspace_id" = NEW."workspace_id" AND "touch"."id" = NEW."touch_id"
     FOR KEY SHARE OF instance;
  IF stopped THEN
    NEW."cancelled_at" := clock_timestamp();
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_cancelled_task" BEFORE INSERT ON "task"
  FOR EACH ROW WHEN (NEW."done_at" IS NULL) EXECUTE FUNCTION "stamp_cancelled_task"();

-- Notifications ------------------------------------------------------------------------------------------------------

-- An event of a touch names its touch and not its lead: a foreign key to a lead waits for a transaction that changes
-- that lead, and neither a settlement nor the backstop may wait. The backstop writes a count for the same reason.
ALTER TABLE "notification_event"
  ADD CONSTRAINT "event_counts_from_one" CHECK ("count" >= 1),
  ADD CONSTRAINT "event_of_lead_has_lead"
    CHECK (("kind" IN ('meeting_booked', 'lead_replied')) = ("lead_id" IS NOT NULL)),
  ADD CONSTRAINT "event_of_touch_has_touch"
    CHECK (("kind" IN ('approval_waiting', 'touch_failed', 'touch_unknown')) = ("touch_id" IS NOT NULL)),
  ADD CONSTRAINT "warning_has_its_detail" CHECK (("kind" = 'fact_warned') = ("detail" IS NOT NULL));

ALTER TABLE "notification_digest" ADD CONSTRAINT "digest_window_is_not_empty" CHECK ("window_end" > "window_start");

ALTER TABLE "digest_delivery"
  ADD CONSTRAINT "unsent_delivery_is_rechecked"
    CHECK (("status" IN ('pending', 'sending')) = ("recheck_at" IS NOT NULL)),
  ADD CONSTRAINT "sent_delivery_has_sent_at" CHECK (("status" = 'sent') = ("sent_at" IS NOT NULL)),
  ADD CONSTRAINT "delivery_failures_are_among_attempts" CHECK ("failures" BETWEEN 0 AND "attempts");

CREATE INDEX "digest_delivery_recheck" ON "digest_delivery" ("recheck_at", "id") WHERE "recheck_at" IS NOT NULL;

-- Runs ---------------------------------------------------------------------------------------------------------------

ALTER TABLE "run" ADD CONSTRAINT "finished_has_success" CHECK (("finished_at" IS NULL) = ("success" IS NULL));

CREATE INDEX "run_started_at" ON "run" ("started_at");
CREATE INDEX "run_unfinished" ON "run" ("lock_pid") WHERE "finished_at" IS NULL;
CREATE INDEX "run_compared_at" ON "run" ("compared_at") WHERE "compared_at" IS NOT NULL;
