-- Free times of booking tools, and what texts offered of them: docs/adr/0040.

ALTER TABLE "workspace"
  ADD COLUMN "availability_max_age_minutes" INTEGER NOT NULL DEFAULT 30,
  ADD CONSTRAINT "availability_age_counts_from_one" CHECK ("availability_max_age_minutes" >= 1);

-- The latest report of each booking tool. `version` is unique and increases within a workspace: a touch that was checked
-- against an older one is checked again before it goes.
CREATE TABLE "availability" (
  "workspace_id" UUID NOT NULL,
  "tool" TEXT NOT NULL,
  "taken_at" TIMESTAMPTZ(3) NOT NULL,
  "starts_at" TIMESTAMPTZ(3)[] NOT NULL,
  "ends_at" TIMESTAMPTZ(3)[] NOT NULL,
  "booking_url" TEXT,
  "version" BIGINT NOT NULL,

  CONSTRAINT "availability_pkey" PRIMARY KEY ("workspace_id", "tool"),
  CONSTRAINT "availability_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "free_time_has_start_and_end" CHECK (cardinality("starts_at") = cardinality("ends_at"))
);

-- Set on touches whose text offers times: the version they were checked against, and until when that check holds.
ALTER TABLE "touch"
  ADD COLUMN "offer_version" BIGINT,
  ADD COLUMN "offer_until" TIMESTAMPTZ(3);
-- Not validated: both columns are null in every row, so reading the whole table would find nothing.
ALTER TABLE "touch"
  ADD CONSTRAINT "offer_has_version_and_end" CHECK (("offer_version" IS NULL) = ("offer_until" IS NULL)) NOT VALID;

-- The times that the text of a touch offers.
CREATE TABLE "offered_time" (
  "touch_id" UUID NOT NULL,
  "workspace_id" UUID NOT NULL,
  "lead_id" UUID NOT NULL,
  "starts_at" TIMESTAMPTZ(3) NOT NULL,
  "ends_at" TIMESTAMPTZ(3) NOT NULL,

  CONSTRAINT "offered_time_pkey" PRIMARY KEY ("touch_id", "workspace_id", "starts_at"),
  CONSTRAINT "offered_time_touch_id_workspace_id_fkey" FOREIGN KEY ("touch_id", "workspace_id")
    REFERENCES "touch" ("id", "workspace_id") ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "offered_time_workspace_id_lead_id_fkey" FOREIGN KEY ("workspace_id", "lead_id")
    REFERENCES "lead" ("workspace_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "offered_time_ends_after_it_starts" CHECK ("ends_at" > "starts_at")
);
CREATE INDEX "offered_time_of_lead" ON "offered_time" ("workspace_id", "lead_id");

-- Meetings that are not over, which take offered times away.
CREATE INDEX "appointment_ahead" ON "appointment" ("workspace_id", "ends_at") WHERE "status" = 'confirmed';
