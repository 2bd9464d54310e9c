-- The person who follows up a lead: replaces the workspace's sender in the e-mails of that lead.

ALTER TABLE "lead"
  ADD COLUMN "sender_name" TEXT,
  ADD COLUMN "sender_email" TEXT,
  ADD COLUMN "reply_to" TEXT;

-- No line breaks, which would add headers. `a@b` without a name: `ADDRESS_PATTERN` in lib/domain/address.ts has the same
-- text. The length limits are those of the registry in lib/domain/lead-columns.ts.
ALTER TABLE "lead"
  ADD CONSTRAINT "sender_name_is_one_line"
    CHECK ("sender_name" !~ '[\x01-\x1f\x7f]' AND char_length("sender_name") <= 200),
  ADD CONSTRAINT "sender_email_is_one_address"
    CHECK ("sender_email" ~ '^[^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+@[^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+$' AND char_length("sender_email") <= 320),
  ADD CONSTRAINT "reply_to_is_one_address"
    CHECK ("reply_to" ~ '^[^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+@[^\[\]"(),:;<>@\\\x01-\x1f\x7f\s]+$' AND char_length("reply_to") <= 320);
