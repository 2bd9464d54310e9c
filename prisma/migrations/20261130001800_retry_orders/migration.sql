-- The order that retried a failed touch last, so that the story of its lead shows who did and why.
ALTER TABLE "touch" ADD COLUMN "retry_order_id" UUID;
-- Not validated: the column is null in every row, so reading the whole table would find nothing.
ALTER TABLE "touch"
  ADD CONSTRAINT "touch_retry_order_id_fkey" FOREIGN KEY ("retry_order_id") REFERENCES "placed_order" ("id")
    ON DELETE SET NULL ON UPDATE CASCADE NOT VALID;
