-- A touch that waits for approval says which text waits, and who decided on it.

CREATE FUNCTION "message_fingerprint"("subject" text, "body" text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(sha256(convert_to(coalesce("subject", '') || E'\n' || "body", 'UTF8')), 'hex')
$$;

ALTER TABLE "touch"
  ADD COLUMN "fingerprint" TEXT,
  ADD COLUMN "decided_at" TIMESTAMPTZ(3),
  ADD COLUMN "decided_by" TEXT;

-- Whoever lays a text aside for approval need not know how it is fingerprinted, nor that its end is looked for. Only for
-- new rows: a trigger before updates would lock each row twice, also of those that never wait.
CREATE FUNCTION "stamp_waiting_touch"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."fingerprint" := message_fingerprint(NEW."subject", NEW."body");
  NEW."look_again_at" := NEW."expires_at";
  RETURN NEW;
END $$;

CREATE TRIGGER "stamp_waiting_touch" BEFORE INSERT ON "touch"
  FOR EACH ROW WHEN (NEW."status" = 'awaiting_approval') EXECUTE FUNCTION "stamp_waiting_touch"();

ALTER TABLE "touch" DROP CONSTRAINT "unsent_is_looked_at_again";
UPDATE "touch" SET "fingerprint" = message_fingerprint("subject", "body"), "look_again_at" = "expires_at"
 WHERE "status" = 'awaiting_approval';
UPDATE "touch" SET "decided_at" = "claimed_at", "decided_by" = 'unknown' WHERE "status" = 'rejected';
ALTER TABLE "touch"
  ADD CONSTRAINT "waiting_has_its_fingerprint"
    CHECK ("status" <> 'awaiting_approval' OR "fingerprint" IS NOT DISTINCT FROM message_fingerprint("subject", "body")),
  ADD CONSTRAINT "decision_has_time_and_person" CHECK (("decided_at" IS NULL) = ("decided_by" IS NULL)),
  ADD CONSTRAINT "rejected_by_somebody" CHECK ("status" <> 'rejected' OR "decided_at" IS NOT NULL),
  ADD CONSTRAINT "unsent_is_looked_at_again" CHECK (
    CASE WHEN "status" IN ('claimed', 'sending') THEN "look_again_at" IS NOT NULL
         WHEN "status" = 'awaiting_approval' THEN "look_again_at" IS NOT DISTINCT FROM "expires_at"
         ELSE "look_again_at" IS NULL END);

-- What waits for a person, found by its instance: an index of touches by their status would have to follow each sending.
CREATE INDEX "follow_up_instance_awaiting_approval" ON "follow_up_instance" ("workspace_id", "id")
  WHERE "paused_reason" = 'awaiting_approval';
