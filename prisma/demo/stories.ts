import { ABOUT_TO_STOP } from "./stories/about-to-stop.ts";
import { BOOKED_AND_CHASED } from "./stories/booked-and-chased.ts";
import { ENDED } from "./stories/ended.ts";
import { ON_THEIR_WAY } from "./stories/on-their-way.ts";
import { PAUSED } from "./stories/paused.ts";
import { POISON } from "./stories/poison.ts";
import type { Story } from "./stories/story.ts";

/** All histories that a demo lead can have. The shares add up to 1,000. */
export const STORIES: readonly Story[] = [
  ...ON_THEIR_WAY,
  ...ABOUT_TO_STOP,
  ...PAUSED,
  ...ENDED,
  ...BOOKED_AND_CHASED,
  ...POISON,
];

/** The number of leads with a story of their own. */
export const POISONED_LEADS = POISON.length;
