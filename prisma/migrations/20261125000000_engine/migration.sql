-- What the engine needs to decide when a step may go, and to send it at most once.

-- When each channel last reached the lead: one touch a channel and local day.
ALTER TABLE "lead"
  ADD COLUMN "last_email_at" TIMESTAMPTZ(3),
  ADD COLUMN "last_sms_at" TIMESTAMPTZ(3),
  ADD COLUMN "last_webhook_at" TIMESTAMPTZ(3),
  ADD COLUMN "last_task_at" TIMESTAMPTZ(3);

-- How much of the daily cap is used, and on which local day of the workspace.
ALTER TABLE "workspace"
  ADD COLUMN "cap_day" DATE,
  ADD COLUMN "cap_used" INTEGER NOT NULL DEFAULT 0,
  ADD CONSTRAINT "cap_used_is_not_negative" CHECK ("cap_used" >= 0);

-- A lease and the time of another attempt are one thing to whoever takes up what was left behind: when to look again.
-- Moving a touch to `sending` changes no column of any index, so that no index has to follow.
ALTER TABLE "touch" DROP CONSTRAINT "sending_has_lease";
DROP INDEX "touch_lease";
DROP INDEX "touch_to_send";
DROP INDEX "touch_unsent";
ALTER TABLE "touch" RENAME COLUMN "lease_until" TO "look_again_at";
ALTER TABLE "touch"
  ADD COLUMN "failures" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "outbound_before" TIMESTAMPTZ(3),
  ADD COLUMN "send_until" TIMESTAMPTZ(3),
  ADD COLUMN "expires_at" TIMESTAMPTZ(3);
UPDATE "touch" SET "look_again_at" = "next_attempt_at" WHERE "status" = 'claimed';
UPDATE "touch" SET "failures" = "attempts";
ALTER TABLE "touch"
  ADD CONSTRAINT "failures_are_among_attempts" CHECK ("failures" BETWEEN 0 AND "attempts"),
  ADD CONSTRAINT "unsent_is_looked_at_again" CHECK (("status" IN ('claimed', 'sending')) = ("look_again_at" IS NOT NULL));
-- Room on the page for the version that is sending: then it stays where it is, and no index has to follow.
ALTER TABLE "touch" SET (fillfactor = 70);
CREATE INDEX "touch_look_again" ON "touch" ("look_again_at", "id") WHERE "look_again_at" IS NOT NULL;
