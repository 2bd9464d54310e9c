-- What facts about leads need: to know the lead again, and to be applied in the order in which they happened.

ALTER TABLE "lead"
  ADD COLUMN "external_id" TEXT,
  ADD COLUMN "snoozed_at" TIMESTAMPTZ(3),
  ADD COLUMN "missed_at" TIMESTAMPTZ(3);

CREATE UNIQUE INDEX "lead_workspace_id_external_id_key" ON "lead"("workspace_id", "external_id");
-- By what a calendar knows a lead. Not unique: two people may share an address.
CREATE INDEX "lead_email" ON "lead" ("workspace_id", lower("email"));

-- A fact from before an instance started says nothing about it.
ALTER TABLE "follow_up_instance" ADD COLUMN "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;
UPDATE "follow_up_instance" SET "started_at" = "created_at";

-- A booking that was cancelled since has still ended what chased the lead before.
ALTER TABLE "appointment" ADD COLUMN "confirmed_at" TIMESTAMPTZ(3);
UPDATE "appointment" SET "confirmed_at" = "event_time" WHERE "status" = 'confirmed';

-- A status that another system has left at meeting-booked is not believed after a missed meeting.
ALTER TABLE "lead" ALTER COLUMN "is_booked"
  SET EXPRESSION AS (("status" = 'meeting-booked' AND "missed_at" IS NULL) OR "booked_until" IS NOT NULL);

-- A missed meeting is over and done with when another is booked, or when whoever writes the status says something new.
CREATE OR REPLACE FUNCTION "stamp_booking"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW."booked_until" IS NOT NULL THEN
    NEW."missed_at" := NULL;
  ELSIF TG_OP = 'UPDATE' AND NEW."status" <> OLD."status" AND NEW."status" <> 'meeting-booked'
        AND NEW."missed_at" IS NOT DISTINCT FROM OLD."missed_at" THEN
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

DROP TRIGGER "stamp_booking" ON "lead";
CREATE TRIGGER "stamp_booking" BEFORE INSERT OR UPDATE OF "status", "booked_until", "booked_at", "missed_at" ON "lead"
  FOR EACH ROW EXECUTE FUNCTION "stamp_booking"();
