-- Finds the mail that a received mail answers, in any workspace. Message-IDs of SES begin with the time, so new entries
-- go to the end of the index.
CREATE INDEX "touch_email_provider_id" ON "touch" ("provider_id") WHERE "channel" = 'email' AND "provider_id" IS NOT NULL;
