-- What a person on our side did (`lead.contacted`), and pauses that end once what they lacked is there.

ALTER TABLE "lead"
  ADD COLUMN "first_inbound_at" TIMESTAMPTZ(3),
  ADD COLUMN "last_contacted_at" TIMESTAMPTZ(3);

-- The instances that each digest lists until their data is complete.
CREATE INDEX "follow_up_instance_missing_data" ON "follow_up_instance" ("workspace_id", "id")
  WHERE "paused_reason" = 'missing_data';

-- A pause can end by itself if and only if it has a recheck time. A manual pause has one if the lead's switch caused it,
-- and none if a person typed it.
CREATE OR REPLACE FUNCTION "recheck_paused_instances"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "workspace_id" = NEW."workspace_id" AND "lead_id" = NEW."id" AND "recheck_at" IS NOT NULL;
  RETURN NULL;
END $$;

-- As before, and a contact that is taken back: the silence then began earlier. A later contact needs no recheck, because
-- the pause only gets longer.
CREATE OR REPLACE TRIGGER "recheck_paused_instances"
  AFTER UPDATE OF "status", "automation_enabled", "opted_out_at", "suppressed_reason", "email_undeliverable",
    "phone_undeliverable", "snoozed_until", "enrichment_status", "email", "phone", "last_inbound_at", "last_outbound_at",
    "last_contacted_at"
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
          AND ((OLD."last_outbound_at" > OLD."last_inbound_at" AND OLD."last_inbound_at" = NEW."last_inbound_at")
               IS NOT TRUE
               OR (OLD."last_contacted_at" IS NOT NULL
                   AND coalesce(NEW."last_contacted_at", '-infinity') < OLD."last_contacted_at")))))
  EXECUTE FUNCTION "recheck_paused_instances"();

CREATE OR REPLACE FUNCTION "recheck_pauses_of_workspace"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "workspace_id" = NEW."id" AND "status" = 'paused' AND "recheck_at" IS NOT NULL;
  RETURN NULL;
END $$;

-- What a template or condition reads: any value of the lead, the workspace's name, and the step itself.
CREATE FUNCTION "recheck_missing_data_of_lead"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "workspace_id" = NEW."workspace_id" AND "lead_id" = NEW."id"
     AND "paused_reason" = 'missing_data' AND "recheck_at" IS NOT NULL;
  RETURN NULL;
END $$;

-- A send raises last_outbound_at and costs this one comparison. No column is named besides, so new columns count too.
CREATE TRIGGER "recheck_missing_data_of_lead" AFTER UPDATE ON "lead"
  FOR EACH ROW WHEN (OLD."last_outbound_at" IS NOT DISTINCT FROM NEW."last_outbound_at" AND OLD.* IS DISTINCT FROM NEW.*)
  EXECUTE FUNCTION "recheck_missing_data_of_lead"();

CREATE FUNCTION "recheck_missing_data_of_workspace"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "workspace_id" = NEW."id" AND "paused_reason" = 'missing_data' AND "recheck_at" IS NOT NULL;
  RETURN NULL;
END $$;

CREATE TRIGGER "recheck_missing_data_of_workspace" AFTER UPDATE OF "name" ON "workspace"
  FOR EACH ROW WHEN (OLD."name" <> NEW."name") EXECUTE FUNCTION "recheck_missing_data_of_workspace"();

CREATE OR REPLACE FUNCTION "recheck_pauses_of_step"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  changed "follow_up_step" := coalesce(NEW, OLD);
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "sequence_id" = changed."sequence_id" AND "version" = changed."version" AND "status" = 'paused'
     AND "recheck_at" IS NOT NULL AND "paused_reason" IN ('awaiting_enrichment', 'missing_data');
  RETURN NULL;
END $$;

CREATE FUNCTION "recheck_missing_data_of_step"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE "follow_up_instance" SET "recheck_at" = clock_timestamp()
   WHERE "sequence_id" = NEW."sequence_id" AND "version" = NEW."version"
     AND "paused_reason" = 'missing_data' AND "recheck_at" IS NOT NULL;
  RETURN NULL;
END $$;

CREATE TRIGGER "recheck_missing_data_of_step" AFTER UPDATE OF "subject", "body", "condition" ON "follow_up_step"
  FOR EACH ROW WHEN (
    OLD."subject" IS DISTINCT FROM NEW."subject" OR OLD."body" <> NEW."body" OR OLD."condition" <> NEW."condition")
  EXECUTE FUNCTION "recheck_missing_data_of_step"();

-- As before, for every pause that can end by itself. A pause that a person changes to a manual one by hand loses its
-- recheck time, because only a person ends it.
CREATE OR REPLACE FUNCTION "stamp_follow_up_instance"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
        AND NEW."paused_reason" IN ('lead_snoozed', 'lead_replied', 'awaiting_enrichment', 'missing_data') THEN
    NEW."recheck_at" := clock_timestamp();
  ELSIF TG_OP = 'UPDATE' AND NEW."recheck_at" IS NOT DISTINCT FROM OLD."recheck_at" THEN
    IF NEW."paused_reason" IN ('manual', 'awaiting_approval') AND NEW."paused_reason" IS DISTINCT FROM OLD."paused_reason" THEN
      NEW."recheck_at" := NULL;
    ELSIF NEW."recheck_at" IS NOT NULL
          AND ((OLD."lead_booked" AND NOT NEW."lead_booked") OR (NEW."post_booking" AND NOT OLD."post_booking")
            OR (NEW."paused_reason", NEW."lead_id", NEW."sequence_id", NEW."version", NEW."position")
               IS DISTINCT FROM
               (OLD."paused_reason", OLD."lead_id", OLD."sequence_id", OLD."version", OLD."position")) THEN
      NEW."recheck_at" := clock_timestamp();
    END IF;
  END IF;
  RETURN NEW;
END $$;

-- Pauses from before this migration. A manual pause of a lead whose automation is off counts as caused by that switch.
UPDATE "follow_up_instance" AS instance
   SET "recheck_at" = clock_timestamp()
  FROM "lead"
 WHERE "lead"."workspace_id" = instance."workspace_id" AND "lead"."id" = instance."lead_id"
   AND instance."status" = 'paused' AND instance."recheck_at" IS NULL
   AND (instance."paused_reason" = 'missing_data'
        OR (instance."paused_reason" = 'manual' AND NOT "lead"."automation_enabled"));
