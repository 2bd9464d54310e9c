-- Who starts a sequence walks the version that it has then, to its end: docs/adr/0013.

ALTER TABLE "follow_up_sequence"
  ADD COLUMN "version" INTEGER NOT NULL DEFAULT 1,
  ADD CONSTRAINT "sequence_version_counts_from_one" CHECK ("version" >= 1);

ALTER TABLE "follow_up_step"
  ADD COLUMN "version" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "key" TEXT NOT NULL DEFAULT "uuid_v7"()::text,
  ADD CONSTRAINT "step_version_counts_from_one" CHECK ("version" >= 1),
  ADD CONSTRAINT "key_is_a_short_word" CHECK ("key" ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length("key") <= 64);
UPDATE "follow_up_step" SET "key" = 'step-' || "position";

DROP INDEX "follow_up_step_sequence_id_position_key";
CREATE UNIQUE INDEX "follow_up_step_sequence_id_version_position_key" ON "follow_up_step" ("sequence_id", "version", "position");
CREATE UNIQUE INDEX "follow_up_step_sequence_id_version_key_key" ON "follow_up_step" ("sequence_id", "version", "key");

ALTER TABLE "follow_up_instance" ADD COLUMN "version" INTEGER NOT NULL DEFAULT 1;
-- From here on the trigger says it.
ALTER TABLE "follow_up_instance" ALTER COLUMN "version" DROP DEFAULT;

-- A start, and a new generation that begins at the first step, take the version that the sequence has then, whoever writes
-- them; nothing else changes it. A generation that goes on further down goes on with the steps of the one before.
CREATE FUNCTION "stamp_version"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW."sequence_id" = OLD."sequence_id"
     AND (NEW."generation" = OLD."generation" OR NEW."position" > 1) THEN
    NEW."version" := OLD."version";
  ELSE
    -- Where there is no such sequence, the foreign key says so.
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

-- Nobody in a sequence is moved to another step by somebody who moves the steps.
CREATE FUNCTION "refuse_to_move_step"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a step keeps its sequence, version, position and key: write a new version of the sequence'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'step_keeps_its_place';
END $$;

CREATE TRIGGER "step_keeps_its_place" BEFORE UPDATE ON "follow_up_step"
  FOR EACH ROW WHEN (
    NEW."sequence_id" <> OLD."sequence_id" OR NEW."version" <> OLD."version"
    OR NEW."position" <> OLD."position" OR NEW."key" <> OLD."key")
  EXECUTE FUNCTION "refuse_to_move_step"();

CREATE FUNCTION "refuse_an_older_version"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the version of a sequence never goes back'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'version_never_goes_back';
END $$;

CREATE TRIGGER "version_never_goes_back" BEFORE UPDATE ON "follow_up_sequence"
  FOR EACH ROW WHEN (NEW."version" < OLD."version") EXECUTE FUNCTION "refuse_an_older_version"();
