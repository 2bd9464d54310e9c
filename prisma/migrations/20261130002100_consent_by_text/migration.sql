-- A START text takes back only opt-outs by text: docs/adr/0034. Those have the source 'text'.

-- Remembers a START text, because an earlier STOP text may arrive later.
ALTER TABLE "lead" ADD COLUMN "opted_in_by_text_at" TIMESTAMPTZ(3);

-- As before, but an opt-out that SQL writes is none by text.
CREATE OR REPLACE FUNCTION "suppress_opted_out_lead"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO "suppression" ("workspace_id", "hash", "reason", "kind", "since", "source")
  SELECT NEW."workspace_id", suppression_hash(NEW."workspace_id", "address"), 'opted_out', "kind", NEW."opted_out_at", 'lead'
    FROM (VALUES (NEW."normalised_email", 'email'::address_kind), (NEW."normalised_phone", 'phone')) AS own ("address", "kind")
   WHERE "address" IS NOT NULL
   ORDER BY 2
      ON CONFLICT ("workspace_id", "hash", "reason") DO UPDATE SET "since" = excluded."since", "source" = excluded."source"
   WHERE excluded."since" > "suppression"."since";
  RETURN NULL;
END $$;
