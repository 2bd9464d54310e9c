-- When the last attempt of a touch began, beside what had gone before it: an attempt that reached nobody answers no reply.
ALTER TABLE "touch" ADD COLUMN "tried_at" TIMESTAMPTZ(3);
UPDATE "touch" SET "tried_at" = "outbound_before" WHERE "look_again_at" IS NOT NULL AND "attempts" > 0;
