-- Dates on which a workspace works although its country has a holiday.
ALTER TABLE "workspace" ADD COLUMN "working_dates" DATE[] NOT NULL DEFAULT '{}';
