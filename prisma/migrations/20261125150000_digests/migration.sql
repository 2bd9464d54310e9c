-- Notification digests: what happened is told once a local day, to each receiver at most once.

-- An event belongs to no digest, or to one: which, is written when the digest is made. Its time alone would not do, as an
-- event may be committed after the window that it falls into was closed.
CREATE TYPE "notification_kind" AS ENUM (
  'meeting_booked', 'lead_replied', 'approval_waiting', 'touch_failed', 'touch_unknown', 'backstop_completed');

ALTER TABLE "notification_digest" ADD CONSTRAINT "notification_digest_workspace_id_id_key" UNIQUE ("workspace_id", "id");

-- A touch's event names its touch and not its lead: the foreign key to a lead waits for whoever is changing that lead, and
-- neither a settlement nor the backstop ever waits. The backstop counts, for the same reason.
ALTER TABLE "notification_event"
  ALTER COLUMN "kind" TYPE "notification_kind" USING "kind"::"notification_kind",
  ADD COLUMN "digest_id" UUID,
  ADD COLUMN "count" INTEGER NOT NULL DEFAULT 1,
  ADD CONSTRAINT "event_counts_from_one" CHECK ("count" >= 1),
  ADD CONSTRAINT "event_of_lead_has_lead"
    CHECK (("kind" IN ('meeting_booked', 'lead_replied')) = ("lead_id" IS NOT NULL)),
  ADD CONSTRAINT "event_of_touch_has_touch"
    CHECK (("kind" IN ('approval_waiting', 'touch_failed', 'touch_unknown')) = ("touch_id" IS NOT NULL)),
  ADD CONSTRAINT "notification_event_workspace_id_digest_id_fkey"
    FOREIGN KEY ("workspace_id", "digest_id") REFERENCES "notification_digest"("workspace_id", "id")
    ON DELETE RESTRICT ON UPDATE CASCADE;

DROP INDEX "notification_event_workspace_id_happened_at_idx";
CREATE INDEX "notification_event_workspace_id_digest_id_idx" ON "notification_event" ("workspace_id", "digest_id");

-- A digest has a delivery for each receiver, and a delivery its own outcome.
ALTER TABLE "notification_digest"
  DROP CONSTRAINT "sent_digest_has_sent_at",
  DROP COLUMN "status",
  DROP COLUMN "attempts",
  DROP COLUMN "sent_at";
DROP TYPE "digest_status";

CREATE TYPE "digest_channel" AS ENUM ('email', 'webhook');
CREATE TYPE "digest_delivery_status" AS ENUM ('pending', 'sending', 'sent', 'failed', 'unknown', 'skipped');

CREATE TABLE "digest_delivery" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "digest_id" UUID NOT NULL,
  "channel" "digest_channel" NOT NULL,
  "status" "digest_delivery_status" NOT NULL DEFAULT 'pending',
  "reason" TEXT,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "failures" INTEGER NOT NULL DEFAULT 0,
  "look_again_at" TIMESTAMPTZ(3),
  "sent_at" TIMESTAMPTZ(3),
  "provider_id" TEXT,

  CONSTRAINT "digest_delivery_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "digest_delivery_workspace_id_digest_id_fkey"
    FOREIGN KEY ("workspace_id", "digest_id") REFERENCES "notification_digest"("workspace_id", "id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "unsent_delivery_is_looked_at_again"
    CHECK (("status" IN ('pending', 'sending')) = ("look_again_at" IS NOT NULL)),
  CONSTRAINT "sent_delivery_has_sent_at" CHECK (("status" = 'sent') = ("sent_at" IS NOT NULL)),
  CONSTRAINT "delivery_failures_are_among_attempts" CHECK ("failures" BETWEEN 0 AND "attempts")
);

CREATE UNIQUE INDEX "digest_delivery_workspace_id_digest_id_channel_key"
  ON "digest_delivery" ("workspace_id", "digest_id", "channel");
CREATE INDEX "digest_delivery_look_again" ON "digest_delivery" ("look_again_at", "id") WHERE "look_again_at" IS NOT NULL;

-- When the open window ends; -infinity: not reckoned since the settings that decide it were written.
ALTER TABLE "workspace"
  ADD COLUMN "next_digest_at" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity',
  ADD CONSTRAINT "digest_time_is_of_one_day" CHECK ("digest_time" < '24:00');
CREATE INDEX "workspace_next_digest_at_idx" ON "workspace" ("next_digest_at");

CREATE FUNCTION "reckon_next_digest"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."next_digest_at" := '-infinity';
  RETURN NEW;
END $$;

CREATE TRIGGER "reckon_next_digest" BEFORE UPDATE OF "digest_time", "time_zone" ON "workspace"
  FOR EACH ROW WHEN (NEW."digest_time" <> OLD."digest_time" OR NEW."time_zone" <> OLD."time_zone")
  EXECUTE FUNCTION "reckon_next_digest"();
