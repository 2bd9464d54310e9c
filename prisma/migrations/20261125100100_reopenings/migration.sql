-- Who brought a sequence back that had been stopped by mistake, and why.
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

    CONSTRAINT "reopening_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "reopening_begins_a_generation" CHECK ("generation" > 1),
    CONSTRAINT "reopening_was_of_what_had_ended" CHECK ("ended_as" IN ('completed', 'cancelled'))
);

CREATE UNIQUE INDEX "reopening_instance_id_generation_key" ON "reopening" ("instance_id", "generation");
CREATE INDEX "reopening_workspace_id_lead_id_instance_id_idx" ON "reopening" ("workspace_id", "lead_id", "instance_id");

ALTER TABLE "reopening" ADD CONSTRAINT "reopening_workspace_id_lead_id_instance_id_fkey"
  FOREIGN KEY ("workspace_id", "lead_id", "instance_id") REFERENCES "follow_up_instance" ("workspace_id", "lead_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
