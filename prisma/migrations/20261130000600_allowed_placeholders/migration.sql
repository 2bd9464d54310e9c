-- Placeholders of other tools that a step's texts send as they are. The kinds are those in lib/domain/labels.ts.

CREATE TYPE "placeholder_kind" AS ENUM (
  'angle_brackets', 'asterisk_bars', 'braces', 'dollar_braces', 'html', 'marked_names', 'percent_signs', 'spintax',
  'square_brackets'
);

ALTER TABLE "follow_up_step"
  ADD COLUMN "allowed_placeholders" "placeholder_kind"[] NOT NULL DEFAULT '{}',
  ADD CONSTRAINT "allowed_placeholders_are_a_list"
    CHECK (coalesce(array_ndims("allowed_placeholders"), 1) = 1 AND array_position("allowed_placeholders", NULL) IS NULL);
