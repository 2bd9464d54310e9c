-- Custom fields of a lead: `{{ lead.fields.title }}` in templates.

ALTER TABLE "lead" ADD COLUMN "fields" JSONB NOT NULL DEFAULT '{}';

-- The same limits as in lib/domain/lead-fields.ts.
CREATE FUNCTION "are_lead_fields"(jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN (
  CASE WHEN jsonb_typeof($1) <> 'object' THEN false
       ELSE (SELECT count(*) <= 50
                    AND coalesce(bool_and("key" ~ '^[a-z][a-z0-9_]{0,39}$' AND jsonb_typeof("value") = 'string'
                                          AND char_length("value" #>> '{}') <= 1000), true)
               FROM jsonb_each($1)) END
);

CREATE FUNCTION "reject_lead_fields"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'lead.fields must be a JSON object of at most 50 texts of at most 1,000 characters, with names such as job_title'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'lead_fields_are_texts',
          HINT = 'A name has 1 to 40 lower-case letters, digits and underscores, and starts with a letter.';
END $$;

-- Not a CHECK: PostgreSQL evaluates each CHECK of a table at every update, and each touch updates its lead.
CREATE TRIGGER "lead_fields_are_texts" BEFORE INSERT ON "lead"
  FOR EACH ROW WHEN (NEW."fields" <> '{}' AND NOT are_lead_fields(NEW."fields"))
  EXECUTE FUNCTION "reject_lead_fields"();
CREATE TRIGGER "changed_lead_fields_are_texts" BEFORE UPDATE OF "fields" ON "lead"
  FOR EACH ROW WHEN (NEW."fields" <> OLD."fields" AND NOT are_lead_fields(NEW."fields"))
  EXECUTE FUNCTION "reject_lead_fields"();

-- The names of the custom fields in a workspace, so that a template is checked without reading its leads. A name stays
-- when its last value is gone.
CREATE TABLE "lead_field" (
  "workspace_id" UUID NOT NULL,
  "name" TEXT NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

  CONSTRAINT "lead_field_pkey" PRIMARY KEY ("workspace_id", "name"),
  CONSTRAINT "lead_field_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspace" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "lead_field_name_works_in_templates" CHECK ("name" ~ '^[a-z][a-z0-9_]{0,39}$')
);

-- Adds new names. Known names cost a look-up and no lock. One transaction at a time adds names to a workspace: two that
-- add the same names in different orders would deadlock.
CREATE FUNCTION "add_lead_fields"("in_workspace" uuid, "names" text[]) RETURNS void
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM unnest("names") AS given ("name")
                  WHERE NOT EXISTS (SELECT FROM "lead_field"
                                     WHERE "workspace_id" = "in_workspace" AND "lead_field"."name" = given."name")) THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('backstop.lead_field'), hashtext("in_workspace"::text));
  INSERT INTO "lead_field" ("workspace_id", "name")
  SELECT "in_workspace", given."name" FROM unnest("names") AS given ("name")
      ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION "add_fields_of_lead"() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM add_lead_fields(NEW."workspace_id", ARRAY(SELECT jsonb_object_keys(NEW."fields")));
  RETURN NULL;
END $$;

CREATE TRIGGER "add_fields_of_new_lead" AFTER INSERT ON "lead"
  FOR EACH ROW WHEN (NEW."fields" <> '{}') EXECUTE FUNCTION "add_fields_of_lead"();
CREATE TRIGGER "add_fields_of_changed_lead" AFTER UPDATE OF "fields" ON "lead"
  FOR EACH ROW WHEN (NEW."fields" <> OLD."fields" AND NEW."fields" <> '{}') EXECUTE FUNCTION "add_fields_of_lead"();
