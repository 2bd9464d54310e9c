-- What people ordered: who, what, why and when. An order that arrives twice is carried out once, by its id. The input is
-- stored as a hash only, because it may hold an address.
CREATE TABLE "placed_order" (
  "id" UUID NOT NULL,
  "workspace_id" UUID,
  "name" TEXT NOT NULL,
  "input_hash" BYTEA NOT NULL,
  "placed_by" TEXT NOT NULL,
  "reason" TEXT NOT NULL,
  "request_id" TEXT,
  "placed_at" TIMESTAMPTZ(3) NOT NULL,
  "answer" JSONB NOT NULL,

  CONSTRAINT "placed_order_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "placed_order_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "placed_order_says_who_and_why" CHECK (btrim("placed_by") <> '' AND btrim("reason") <> '')
);

CREATE INDEX "placed_order_workspace_id_placed_at_idx" ON "placed_order" ("workspace_id", "placed_at");
