-- The last reply that the decision to send knew of. A later attempt stamps when the lead was last reached, so that a reply from
-- before it would look answered.
ALTER TABLE "touch" ADD COLUMN "inbound_before" TIMESTAMPTZ(3);
UPDATE "touch" SET "inbound_before" = "lead"."last_inbound_at"
  FROM "lead"
 WHERE "lead"."id" = "touch"."lead_id" AND "touch"."status" IN ('claimed', 'awaiting_approval');
