-- The lead that an order concerns. The order outlives the lead.
ALTER TABLE "placed_order"
  ADD COLUMN "lead_id" UUID,
  ADD CONSTRAINT "order_of_lead_names_its_workspace" CHECK ("lead_id" IS NULL OR "workspace_id" IS NOT NULL),
  ADD CONSTRAINT "placed_order_workspace_id_lead_id_fkey" FOREIGN KEY ("workspace_id", "lead_id")
    REFERENCES "lead" ("workspace_id", "id") ON DELETE SET NULL ("lead_id") ON UPDATE CASCADE;

CREATE INDEX "placed_order_workspace_id_lead_id_idx" ON "placed_order" ("workspace_id", "lead_id");
