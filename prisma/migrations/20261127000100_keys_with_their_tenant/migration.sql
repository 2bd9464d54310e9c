-- Every step that goes out writes an instance once and a touch twice, and each time into every key. One key that carries
-- the tenant does the work of two: of the primary key and of the unique key that foreign keys with the tenant refer to.
ALTER TABLE "task" DROP CONSTRAINT "task_workspace_id_touch_id_fkey";
ALTER TABLE "notification_event" DROP CONSTRAINT "notification_event_workspace_id_touch_id_fkey";
ALTER TABLE "touch" DROP CONSTRAINT "touch_workspace_id_instance_id_lead_id_fkey";
ALTER TABLE "reopening" DROP CONSTRAINT "reopening_workspace_id_lead_id_instance_id_fkey";

DROP INDEX "touch_workspace_id_id_key";
ALTER TABLE "touch" DROP CONSTRAINT "touch_pkey";
ALTER TABLE "touch" ADD CONSTRAINT "touch_pkey" PRIMARY KEY ("id", "workspace_id");

-- One instance is live for a lead and sequence, as before; but the key holds the others too, and so finds all instances of a
-- lead, as the cascade of a booking does.
DROP INDEX "one_live_instance_per_lead_and_sequence";
DROP INDEX "follow_up_instance_workspace_id_lead_id_id_key";
ALTER TABLE "follow_up_instance" DROP CONSTRAINT "follow_up_instance_pkey";
ALTER TABLE "follow_up_instance" ADD COLUMN "live" BOOLEAN
  GENERATED ALWAYS AS (CASE WHEN "status" IN ('active', 'paused') THEN true END) STORED;
ALTER TABLE "follow_up_instance" ADD CONSTRAINT "follow_up_instance_pkey" PRIMARY KEY ("id", "lead_id", "workspace_id");
CREATE UNIQUE INDEX "one_live_instance_per_lead_and_sequence"
  ON "follow_up_instance" ("lead_id", "workspace_id", "sequence_id", "live");

ALTER TABLE "touch" ADD CONSTRAINT "touch_workspace_id_instance_id_lead_id_fkey"
  FOREIGN KEY ("workspace_id", "instance_id", "lead_id") REFERENCES "follow_up_instance" ("workspace_id", "id", "lead_id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "reopening" ADD CONSTRAINT "reopening_workspace_id_lead_id_instance_id_fkey"
  FOREIGN KEY ("workspace_id", "lead_id", "instance_id") REFERENCES "follow_up_instance" ("workspace_id", "lead_id", "id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "task" ADD CONSTRAINT "task_workspace_id_touch_id_fkey"
  FOREIGN KEY ("workspace_id", "touch_id") REFERENCES "touch" ("workspace_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "notification_event" ADD CONSTRAINT "notification_event_workspace_id_touch_id_fkey"
  FOREIGN KEY ("workspace_id", "touch_id") REFERENCES "touch" ("workspace_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;
