-- The guardrail pauses a workspace whose mails bounce, or are reported as spam, too often: docs/adr/0033.

CREATE TYPE "guardrail_reason" AS ENUM ('bounces', 'complaints');
ALTER TYPE "notification_kind" ADD VALUE 'guardrail_paused';

ALTER TABLE "workspace"
  ADD COLUMN "paused_reason" "guardrail_reason",
  ADD COLUMN "guardrail_since" TIMESTAMPTZ(3),
  ADD COLUMN "guardrail_bounced_percent" NUMERIC(5, 2) NOT NULL DEFAULT 5,
  ADD COLUMN "guardrail_bounced_at_least" INTEGER NOT NULL DEFAULT 10,
  ADD COLUMN "guardrail_complained_percent" NUMERIC(5, 2) NOT NULL DEFAULT 0.3,
  ADD COLUMN "guardrail_complained_at_least" INTEGER NOT NULL DEFAULT 3,
  ADD CONSTRAINT "reason_only_while_paused" CHECK ("paused_reason" IS NULL OR "paused_at" IS NOT NULL),
  -- The upper limit also excludes NaN. Exceeding 100 % is impossible, so 100 switches a limit off.
  ADD CONSTRAINT "guardrail_percents_are_percents"
    CHECK ("guardrail_bounced_percent" > 0 AND "guardrail_bounced_percent" <= 100
           AND "guardrail_complained_percent" > 0 AND "guardrail_complained_percent" <= 100),
  ADD CONSTRAINT "guardrail_counts_from_one"
    CHECK ("guardrail_bounced_at_least" >= 1 AND "guardrail_complained_at_least" >= 1);

-- A person resumes: whoever writes it, the reason goes, and mails sent before no longer count. Otherwise the next bounce
-- of an old mail would pause the workspace again.
CREATE FUNCTION "restart_guardrail"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  NEW."paused_reason" := NULL;
  NEW."guardrail_since" := clock_timestamp();
  RETURN NEW;
END $$;

CREATE TRIGGER "restart_guardrail" BEFORE UPDATE OF "paused_at" ON "workspace"
  FOR EACH ROW WHEN (OLD."paused_at" IS NOT NULL AND NEW."paused_at" IS NULL)
  EXECUTE FUNCTION "restart_guardrail"();

-- The workspaces whose mails the next run must count: usually none. Not a column of the workspace: a bounce already
-- holds its lead and touch, and locks of workspaces come before those.
CREATE TABLE "guardrail_check" (
  "workspace_id" UUID NOT NULL,
  "flagged_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT "guardrail_check_pkey" PRIMARY KEY ("workspace_id"),
  CONSTRAINT "guardrail_check_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE
);

-- The update locks a flag that exists: a run that does not see this bounce yet cannot clear it.
CREATE FUNCTION "flag_guardrail"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO "guardrail_check" ("workspace_id") VALUES (NEW."workspace_id")
      ON CONFLICT ("workspace_id") DO UPDATE SET "flagged_at" = "guardrail_check"."flagged_at";
  RETURN NULL;
END $$;

-- Claim, start and settlement write none of these columns, so an update on its way out costs nothing.
CREATE TRIGGER "flag_guardrail_of_new_touch" AFTER INSERT ON "touch"
  FOR EACH ROW WHEN (NEW."bounced_at" IS NOT NULL OR NEW."complained_at" IS NOT NULL)
  EXECUTE FUNCTION "flag_guardrail"();
CREATE TRIGGER "flag_guardrail_of_changed_touch" AFTER UPDATE OF "bounced_at", "complained_at" ON "touch"
  FOR EACH ROW WHEN ((OLD."bounced_at" IS NULL AND NEW."bounced_at" IS NOT NULL)
                     OR (OLD."complained_at" IS NULL AND NEW."complained_at" IS NOT NULL))
  EXECUTE FUNCTION "flag_guardrail"();

-- Counts the mails of a workspace by the time they went out; a bounce may arrive before the settlement. Neither expression
-- nor predicate reads a column that changes before: the claim adds no entry, and the start of sending stays off the
-- indexes (HOT). lib/store/guardrail.ts repeats both.
CREATE INDEX "touch_mail_went_out" ON "touch" ("workspace_id", (coalesce("sent_at", "bounced_at", "complained_at")))
  WHERE "channel" = 'email' AND coalesce("sent_at", "bounced_at", "complained_at") IS NOT NULL;

-- As before, and the guardrail's event, which has a text too. The label is compared as text: an enum's new label cannot
-- be used in the transaction that adds it.
ALTER TABLE "notification_event"
  DROP CONSTRAINT "warning_has_its_detail",
  ADD CONSTRAINT "event_has_its_detail"
    CHECK (("kind"::text IN ('fact_warned', 'guardrail_paused')) = ("detail" IS NOT NULL));
