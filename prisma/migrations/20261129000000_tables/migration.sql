-- Tables, keys and foreign keys. The rules that Prisma's schema cannot express are in the next migration.

-- Time-ordered keys keep inserts and claims on neighbouring pages. RFC 9562, version 7: 48 bits of Unix milliseconds,
-- then the random bits of a version 4 key with the version number replaced.
-- The body is bound when the function is created: it means the same under every search_path.
CREATE FUNCTION "uuid_v7"() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
      52, 1), 53, 1),
    'hex')::uuid;

CREATE TYPE "lead_status" AS ENUM (
  'new', 'qualified', 'meeting-requested', 'meeting-booked', 'not-interested', 'unqualified', 'blacklisted');
CREATE TYPE "enrichment_status" AS ENUM ('not_requested', 'pending', 'completed', 'failed');
CREATE TYPE "sequence_trigger" AS ENUM (
  'no_response', 'meeting_selected', 'manual', 'setter_reply', 'meeting_missed');
CREATE TYPE "channel" AS ENUM ('email', 'sms', 'webhook', 'task');
CREATE TYPE "step_condition" AS ENUM ('always', 'phone_provided', 'linkedin_connected', 'no_reply');
CREATE TYPE "instance_status" AS ENUM ('active', 'paused', 'completed', 'cancelled');
CREATE TYPE "paused_reason" AS ENUM (
  'lead_replied', 'lead_snoozed', 'awaiting_enrichment', 'awaiting_approval', 'missing_data', 'manual');
CREATE TYPE "touch_status" AS ENUM (
  'claimed', 'sending', 'sent', 'failed', 'unknown', 'cancelled', 'awaiting_approval', 'rejected', 'expired');
CREATE TYPE "appointment_status" AS ENUM ('confirmed', 'cancelled', 'missed');
CREATE TYPE "notification_kind" AS ENUM (
  'meeting_booked', 'lead_replied', 'approval_waiting', 'touch_failed', 'touch_unknown', 'backstop_completed',
  'lead_created', 'fact_warned');
CREATE TYPE "address_kind" AS ENUM ('email', 'phone');
-- Ordered by strength: of several reasons, the greatest applies.
CREATE TYPE "suppression_reason" AS ENUM ('undeliverable', 'opted_out', 'complained');
CREATE TYPE "digest_channel" AS ENUM ('email', 'webhook');
CREATE TYPE "digest_delivery_status" AS ENUM ('pending', 'sending', 'sent', 'failed', 'unknown', 'skipped');

CREATE TABLE "workspace" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "name" TEXT NOT NULL,
  "time_zone" TEXT NOT NULL DEFAULT 'UTC',
  "window_days" SMALLINT[] NOT NULL DEFAULT '{1,2,3,4,5}',
  "window_start" TIME(0) NOT NULL DEFAULT '09:00',
  "window_end" TIME(0) NOT NULL DEFAULT '17:00',
  "holiday_country" TEXT,
  "holiday_region" TEXT,
  "own_holidays" DATE[] NOT NULL DEFAULT '{}',
  "daily_cap" INTEGER,
  "gap_minutes" INTEGER NOT NULL DEFAULT 0,
  "ghosted_after_days" INTEGER NOT NULL DEFAULT 7,
  "paused_at" TIMESTAMPTZ(3),
  "cap_day" DATE,
  "cap_used" INTEGER NOT NULL DEFAULT 0,
  "email_from" TEXT NOT NULL,
  "digest_time" TIME(0) NOT NULL DEFAULT '08:00',
  "digest_email" TEXT,
  "digest_webhook_url" TEXT,
  "digest_muted" BOOLEAN NOT NULL DEFAULT false,
  "next_digest_at" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity',
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "workspace_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "lead" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "external_id" TEXT,
  "first_name" TEXT,
  "last_name" TEXT,
  "company" TEXT,
  "email" TEXT,
  "phone" TEXT,
  "normalised_email" TEXT,
  "normalised_phone" TEXT,
  "suppressed_reason" "suppression_reason",
  "email_undeliverable" BOOLEAN NOT NULL DEFAULT false,
  "phone_undeliverable" BOOLEAN NOT NULL DEFAULT false,
  "linkedin_url" TEXT,
  "details_updated_at" TIMESTAMPTZ(3),
  "linkedin_connected_at" TIMESTAMPTZ(3),
  "time_zone" TEXT,
  "status" "lead_status" NOT NULL DEFAULT 'new',
  "automation_enabled" BOOLEAN NOT NULL DEFAULT true,
  "opted_out_at" TIMESTAMPTZ(3),
  "snoozed_until" TIMESTAMPTZ(3),
  "snoozed_at" TIMESTAMPTZ(3),
  "last_inbound_at" TIMESTAMPTZ(3),
  "last_outbound_at" TIMESTAMPTZ(3),
  "last_email_at" TIMESTAMPTZ(3),
  "last_sms_at" TIMESTAMPTZ(3),
  "last_webhook_at" TIMESTAMPTZ(3),
  "last_task_at" TIMESTAMPTZ(3),
  "enrichment_status" "enrichment_status" NOT NULL DEFAULT 'not_requested',
  "booked_until" TIMESTAMPTZ(3),
  "booked_at" TIMESTAMPTZ(3),
  "missed_at" TIMESTAMPTZ(3),
  "stop_cause" TEXT,
  "is_booked" BOOLEAN NOT NULL
    GENERATED ALWAYS AS (("status" = 'meeting-booked' AND "missed_at" IS NULL) OR "booked_until" IS NOT NULL) STORED,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "lead_pkey" PRIMARY KEY ("id")
);

-- Addresses and numbers that must not be contacted, by hash. Rows outlive their leads and cover leads created later.
CREATE TABLE "suppression" (
  "workspace_id" UUID NOT NULL,
  "hash" BYTEA NOT NULL,
  "reason" "suppression_reason" NOT NULL,
  "kind" "address_kind" NOT NULL,
  "since" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "source" TEXT NOT NULL,
  CONSTRAINT "suppression_pkey" PRIMARY KEY ("workspace_id", "hash", "reason")
);

CREATE TABLE "follow_up_sequence" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "name" TEXT NOT NULL,
  "trigger_on" "sequence_trigger" NOT NULL,
  "active" BOOLEAN NOT NULL DEFAULT true,
  "version" INTEGER NOT NULL DEFAULT 1,
  "is_post_booking" BOOLEAN NOT NULL GENERATED ALWAYS AS ("trigger_on" = 'meeting_selected') STORED,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "follow_up_sequence_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "follow_up_step" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "sequence_id" UUID NOT NULL,
  "version" INTEGER NOT NULL DEFAULT 1,
  "key" TEXT NOT NULL DEFAULT (uuid_v7())::text,
  "position" INTEGER NOT NULL,
  "delay_minutes" INTEGER NOT NULL,
  "channel" "channel" NOT NULL,
  "condition" "step_condition" NOT NULL DEFAULT 'always',
  "subject" TEXT,
  "body" TEXT NOT NULL,
  "needs_approval" BOOLEAN NOT NULL DEFAULT false,
  "time_to_live_minutes" INTEGER,
  CONSTRAINT "follow_up_step_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "follow_up_instance" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "lead_id" UUID NOT NULL,
  "sequence_id" UUID NOT NULL,
  "version" INTEGER NOT NULL,
  "lead_booked" BOOLEAN NOT NULL DEFAULT false,
  "post_booking" BOOLEAN NOT NULL DEFAULT false,
  "status" "instance_status" NOT NULL,
  "live" BOOLEAN GENERATED ALWAYS AS (CASE WHEN "status" IN ('active', 'paused') THEN true END) STORED,
  "paused_reason" "paused_reason",
  "generation" INTEGER NOT NULL DEFAULT 1,
  "position" INTEGER NOT NULL DEFAULT 1,
  "next_step_due" TIMESTAMPTZ(3),
  "hold_reason" TEXT,
  "held_since" TIMESTAMPTZ(3),
  "recheck_at" TIMESTAMPTZ(3),
  "completed_at" TIMESTAMPTZ(3),
  "completed_reason" TEXT,
  "orphan_since" TIMESTAMPTZ(3),
  "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "follow_up_instance_pkey" PRIMARY KEY ("id", "lead_id", "workspace_id")
);

CREATE TABLE "reopening" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "instance_id" UUID NOT NULL,
  "lead_id" UUID NOT NULL,
  "generation" INTEGER NOT NULL,
  "position" INTEGER NOT NULL,
  "ended_as" "instance_status" NOT NULL,
  "ended_reason" TEXT,
  "ended_at" TIMESTAMPTZ(3),
  "reason" TEXT NOT NULL,
  "reopened_by" TEXT NOT NULL,
  "reopened_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "reopening_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "touch" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "instance_id" UUID NOT NULL,
  "lead_id" UUID NOT NULL,
  "step_id" UUID NOT NULL,
  "generation" INTEGER NOT NULL,
  "channel" "channel" NOT NULL,
  "status" "touch_status" NOT NULL,
  "reason" TEXT,
  "subject" TEXT,
  "body" TEXT NOT NULL,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "failures" INTEGER NOT NULL DEFAULT 0,
  "claimed_at" TIMESTAMPTZ(3) NOT NULL,
  "next_attempt_at" TIMESTAMPTZ(3),
  "deferred_since" TIMESTAMPTZ(3),
  "expected_outbound_at" TIMESTAMPTZ(3),
  "last_attempt_at" TIMESTAMPTZ(3),
  "unknown_attempt_at" TIMESTAMPTZ(3),
  "send_until" TIMESTAMPTZ(3),
  "expires_at" TIMESTAMPTZ(3),
  "recheck_at" TIMESTAMPTZ(3),
  "sent_at" TIMESTAMPTZ(3),
  "provider_id" TEXT,
  "recipient_hash" BYTEA,
  "fingerprint" TEXT,
  "decided_at" TIMESTAMPTZ(3),
  "decided_by" TEXT,
  CONSTRAINT "touch_pkey" PRIMARY KEY ("id", "workspace_id")
);

CREATE TABLE "task" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "touch_id" UUID NOT NULL,
  "lead_id" UUID NOT NULL,
  "title" TEXT NOT NULL,
  "notes" TEXT NOT NULL,
  "done_at" TIMESTAMPTZ(3),
  "cancelled_at" TIMESTAMPTZ(3),
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "task_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "appointment" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "lead_id" UUID NOT NULL,
  "external_id" TEXT NOT NULL,
  "status" "appointment_status" NOT NULL,
  "starts_at" TIMESTAMPTZ(3) NOT NULL,
  "ends_at" TIMESTAMPTZ(3) NOT NULL,
  "last_event_at" TIMESTAMPTZ(3) NOT NULL,
  "confirmed_at" TIMESTAMPTZ(3),
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "appointment_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "intake_event" (
  "workspace_id" UUID NOT NULL,
  "event_id" TEXT NOT NULL,
  "detail_type" TEXT NOT NULL,
  "occurred_at" TIMESTAMPTZ(3) NOT NULL,
  "received_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "outcome" JSONB NOT NULL,
  CONSTRAINT "intake_event_pkey" PRIMARY KEY ("workspace_id", "event_id")
);

CREATE TABLE "notification_event" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "kind" "notification_kind" NOT NULL,
  "lead_id" UUID,
  "touch_id" UUID,
  "detail" TEXT,
  "count" INTEGER NOT NULL DEFAULT 1,
  "occurred_at" TIMESTAMPTZ(3) NOT NULL,
  "digest_id" UUID,
  CONSTRAINT "notification_event_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "notification_digest" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "window_start" TIMESTAMPTZ(3) NOT NULL,
  "window_end" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "notification_digest_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "digest_delivery" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "workspace_id" UUID NOT NULL,
  "digest_id" UUID NOT NULL,
  "channel" "digest_channel" NOT NULL,
  "status" "digest_delivery_status" NOT NULL DEFAULT 'pending',
  "reason" TEXT,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "failures" INTEGER NOT NULL DEFAULT 0,
  "recheck_at" TIMESTAMPTZ(3),
  "sent_at" TIMESTAMPTZ(3),
  "provider_id" TEXT,
  CONSTRAINT "digest_delivery_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "run" (
  "id" UUID NOT NULL DEFAULT uuid_v7(),
  "trigger" TEXT NOT NULL,
  "scheduled_time" TIMESTAMPTZ(3),
  "request_id" TEXT NOT NULL,
  "started_at" TIMESTAMPTZ(3) NOT NULL,
  "deadline_at" TIMESTAMPTZ(3) NOT NULL,
  "lock_pid" INTEGER,
  "finished_at" TIMESTAMPTZ(3),
  "success" BOOLEAN,
  "compared_at" TIMESTAMPTZ(3),
  "report" JSONB,
  CONSTRAINT "run_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "workspace_next_digest_at_idx" ON "workspace" ("next_digest_at");
CREATE UNIQUE INDEX "lead_workspace_id_id_key" ON "lead" ("workspace_id", "id");
CREATE UNIQUE INDEX "lead_workspace_id_id_is_booked_key" ON "lead" ("workspace_id", "id", "is_booked");
CREATE UNIQUE INDEX "lead_workspace_id_external_id_key" ON "lead" ("workspace_id", "external_id");
CREATE UNIQUE INDEX "follow_up_sequence_workspace_id_name_key" ON "follow_up_sequence" ("workspace_id", "name");
CREATE UNIQUE INDEX "follow_up_sequence_workspace_id_id_key" ON "follow_up_sequence" ("workspace_id", "id");
CREATE UNIQUE INDEX "follow_up_sequence_workspace_id_id_is_post_booking_key"
  ON "follow_up_sequence" ("workspace_id", "id", "is_post_booking");
CREATE UNIQUE INDEX "follow_up_step_sequence_id_version_position_key"
  ON "follow_up_step" ("sequence_id", "version", "position");
CREATE UNIQUE INDEX "follow_up_step_sequence_id_version_key_key" ON "follow_up_step" ("sequence_id", "version", "key");
CREATE UNIQUE INDEX "follow_up_step_workspace_id_id_key" ON "follow_up_step" ("workspace_id", "id");
CREATE UNIQUE INDEX "one_live_instance_per_lead_and_sequence"
  ON "follow_up_instance" ("lead_id", "workspace_id", "sequence_id", "live");
CREATE UNIQUE INDEX "reopening_instance_id_generation_key" ON "reopening" ("instance_id", "generation");
CREATE INDEX "reopening_workspace_id_lead_id_instance_id_idx" ON "reopening" ("workspace_id", "lead_id", "instance_id");
CREATE UNIQUE INDEX "touch_instance_id_generation_step_id_key" ON "touch" ("instance_id", "generation", "step_id");
CREATE UNIQUE INDEX "task_workspace_id_touch_id_key" ON "task" ("workspace_id", "touch_id");
CREATE INDEX "task_workspace_id_lead_id_idx" ON "task" ("workspace_id", "lead_id");
CREATE UNIQUE INDEX "appointment_workspace_id_external_id_lead_id_key"
  ON "appointment" ("workspace_id", "external_id", "lead_id");
CREATE INDEX "appointment_workspace_id_lead_id_idx" ON "appointment" ("workspace_id", "lead_id");
CREATE INDEX "notification_event_workspace_id_digest_id_idx" ON "notification_event" ("workspace_id", "digest_id");
CREATE UNIQUE INDEX "notification_digest_workspace_id_window_end_key"
  ON "notification_digest" ("workspace_id", "window_end");
CREATE UNIQUE INDEX "notification_digest_workspace_id_id_key" ON "notification_digest" ("workspace_id", "id");
CREATE UNIQUE INDEX "digest_delivery_workspace_id_digest_id_channel_key"
  ON "digest_delivery" ("workspace_id", "digest_id", "channel");

ALTER TABLE "lead" ADD CONSTRAINT "lead_workspace_id_fkey"
  FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "suppression" ADD CONSTRAINT "suppression_workspace_id_fkey"
  FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "follow_up_sequence" ADD CONSTRAINT "follow_up_sequence_workspace_id_fkey"
  FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "follow_up_step" ADD CONSTRAINT "follow_up_step_workspace_id_sequence_id_fkey"
  FOREIGN KEY ("workspace_id", "sequence_id") REFERENCES "follow_up_sequence" ("workspace_id", "id")
  ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "follow_up_instance" ADD CONSTRAINT "follow_up_instance_workspace_id_lead_id_lead_booked_fkey"
  FOREIGN KEY ("workspace_id", "lead_id", "lead_booked") REFERENCES "lead" ("workspace_id", "id", "is_booked")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "follow_up_instance" ADD CONSTRAINT "follow_up_instance_workspace_id_sequence_id_post_booking_fkey"
  FOREIGN KEY ("workspace_id", "sequence_id", "post_booking")
  REFERENCES "follow_up_sequence" ("workspace_id", "id", "is_post_booking")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "reopening" ADD CONSTRAINT "reopening_workspace_id_lead_id_instance_id_fkey"
  FOREIGN KEY ("workspace_id", "lead_id", "instance_id")
  REFERENCES "follow_up_instance" ("workspace_id", "lead_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "touch" ADD CONSTRAINT "touch_workspace_id_instance_id_lead_id_fkey"
  FOREIGN KEY ("workspace_id", "instance_id", "lead_id")
  REFERENCES "follow_up_instance" ("workspace_id", "id", "lead_id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "touch" ADD CONSTRAINT "touch_workspace_id_step_id_fkey"
  FOREIGN KEY ("workspace_id", "step_id") REFERENCES "follow_up_step" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "task" ADD CONSTRAINT "task_workspace_id_touch_id_fkey"
  FOREIGN KEY ("workspace_id", "touch_id") REFERENCES "touch" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "task" ADD CONSTRAINT "task_workspace_id_lead_id_fkey"
  FOREIGN KEY ("workspace_id", "lead_id") REFERENCES "lead" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "appointment" ADD CONSTRAINT "appointment_workspace_id_lead_id_fkey"
  FOREIGN KEY ("workspace_id", "lead_id") REFERENCES "lead" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "intake_event" ADD CONSTRAINT "intake_event_workspace_id_fkey"
  FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "notification_event" ADD CONSTRAINT "notification_event_workspace_id_fkey"
  FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "notification_event" ADD CONSTRAINT "notification_event_workspace_id_lead_id_fkey"
  FOREIGN KEY ("workspace_id", "lead_id") REFERENCES "lead" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "notification_event" ADD CONSTRAINT "notification_event_workspace_id_touch_id_fkey"
  FOREIGN KEY ("workspace_id", "touch_id") REFERENCES "touch" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "notification_event" ADD CONSTRAINT "notification_event_workspace_id_digest_id_fkey"
  FOREIGN KEY ("workspace_id", "digest_id") REFERENCES "notification_digest" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "notification_digest" ADD CONSTRAINT "notification_digest_workspace_id_fkey"
  FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "digest_delivery" ADD CONSTRAINT "digest_delivery_workspace_id_digest_id_fkey"
  FOREIGN KEY ("workspace_id", "digest_id") REFERENCES "notification_digest" ("workspace_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
