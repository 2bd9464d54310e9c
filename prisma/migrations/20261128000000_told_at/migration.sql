-- The sender's own time of the latest fact that told name and addresses: one that comes late says nothing newer. What is known
-- already was told at no time that anybody wrote down.
ALTER TABLE "lead" ADD COLUMN "told_at" TIMESTAMPTZ(3);
