-- While a new table has no statistics, all its indexes that begin with "workspace_id" look alike to the planner. It
-- took this one to find a lead by its id, and read all leads of the workspace for each row that refers to a lead.
CREATE UNIQUE INDEX "lead_external_id_workspace_id_key" ON "lead" ("external_id", "workspace_id");
DROP INDEX "lead_workspace_id_external_id_key";
