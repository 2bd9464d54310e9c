-- How old the last comparison with each booking tool is. One row per connection and window, written by the intake.

CREATE TABLE "connection_sweep" (
  "workspace_id" UUID NOT NULL,
  "tool" TEXT NOT NULL,
  "sweep_window" TEXT NOT NULL,
  "first_at" TIMESTAMPTZ(3) NOT NULL,
  "swept_at" TIMESTAMPTZ(3),
  "tried_at" TIMESTAMPTZ(3) NOT NULL,
  "fault" TEXT,
  "seen" INTEGER NOT NULL,
  "changed" INTEGER NOT NULL,
  "told_since" TIMESTAMPTZ(3),

  CONSTRAINT "connection_sweep_pkey" PRIMARY KEY ("workspace_id", "tool", "sweep_window"),
  CONSTRAINT "sweep_window_is_known" CHECK ("sweep_window" IN ('hot', 'warm')),
  CONSTRAINT "sweep_times_are_in_order" CHECK ("first_at" <= "tried_at" AND "swept_at" BETWEEN "first_at" AND "tried_at"),
  CONSTRAINT "sweep_without_fault_was_whole" CHECK ("fault" IS NOT NULL OR ("swept_at" IS NOT NULL AND "swept_at" = "tried_at")),
  CONSTRAINT "connection_sweep_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE
);

ALTER TYPE "notification_kind" ADD VALUE 'connection_failing';

-- As before, and the failing connection, which has a text too. As text: a new label cannot be used in its transaction.
ALTER TABLE "notification_event"
  DROP CONSTRAINT "event_has_its_detail",
  ADD CONSTRAINT "event_has_its_detail"
    CHECK (("kind"::text IN ('fact_warned', 'guardrail_paused', 'connection_failing')) = ("detail" IS NOT NULL));
