-- A meeting that is deleted or moved to another lead waits as well for a booking of the lead it leaves: else the roll-up,
-- in a snapshot from before that booking, erases it. In the order of ids, so that two moves never wait for each other.
CREATE OR REPLACE FUNCTION "lock_lead_of_appointment"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM "lead"
    WHERE ("workspace_id" = NEW."workspace_id" AND "id" = NEW."lead_id")
       OR ("workspace_id" = OLD."workspace_id" AND "id" = OLD."lead_id")
    ORDER BY "id"
      FOR UPDATE;
  RETURN coalesce(NEW, OLD);
END $$;

DROP TRIGGER "lock_lead_of_appointment" ON "appointment";
CREATE TRIGGER "lock_lead_of_appointment" BEFORE INSERT OR UPDATE OR DELETE ON "appointment"
  FOR EACH ROW EXECUTE FUNCTION "lock_lead_of_appointment"();

-- A century of silence stands for "never"; beyond it the end of a pause has no date that can be written.
UPDATE "workspace" SET "ghosted_after_days" = 36500 WHERE "ghosted_after_days" > 36500;
ALTER TABLE "workspace" ADD CONSTRAINT "ghosted_within_a_century" CHECK ("ghosted_after_days" <= 36500);
