-- What became of messages after the provider accepted them: deliveries, bounces, complaints; and opt-ins.

-- A message that arrived, bounced or drew a complaint went out. It is never sent again.
ALTER TABLE "touch"
  ADD COLUMN "delivered_at" TIMESTAMPTZ(3),
  ADD COLUMN "bounced_at" TIMESTAMPTZ(3),
  ADD COLUMN "complained_at" TIMESTAMPTZ(3),
  ADD CONSTRAINT "touch_with_an_outcome_went_out"
    CHECK (coalesce("delivered_at", "bounced_at", "complained_at") IS NULL OR "status" IN ('sending', 'sent'));

-- Remembers an opt-in, because an earlier opt-out may arrive later.
ALTER TABLE "lead" ADD COLUMN "opted_in_at" TIMESTAMPTZ(3);

-- Temporary delivery failures of an address. The third within 30 days suppresses it.
CREATE TABLE "transient_bounce" (
  "workspace_id" UUID NOT NULL,
  "hash" BYTEA NOT NULL,
  "cause" TEXT NOT NULL,
  "occurred_at" TIMESTAMPTZ(3) NOT NULL,

  CONSTRAINT "transient_bounce_pkey" PRIMARY KEY ("workspace_id", "hash", "cause"),
  CONSTRAINT "transient_bounce_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE
);

-- As before, but the latest opt-out counts: an opt-in takes back only what came before it.
CREATE OR REPLACE FUNCTION "suppress_opted_out_lead"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO "suppression" ("workspace_id", "hash", "reason", "kind", "since", "source")
  SELECT NEW."workspace_id", suppression_hash(NEW."workspace_id", "address"), 'opted_out', "kind", NEW."opted_out_at", 'lead'
    FROM (VALUES (NEW."normalised_email", 'email'::address_kind), (NEW."normalised_phone", 'phone')) AS own ("address", "kind")
   WHERE "address" IS NOT NULL
   ORDER BY 2
      ON CONFLICT ("workspace_id", "hash", "reason") DO UPDATE SET "since" = excluded."since"
   WHERE excluded."since" > "suppression"."since";
  RETURN NULL;
END $$;
