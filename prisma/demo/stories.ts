import { ABOUT_TO_STOP } from "./stories/about-to-stop.ts";
import { BOOKED_AND_CHASED } from "./stories/booked-and-chased.ts";
import { ENDED } from "./stories/ended.ts";
import { ON_THEIR_WAY } from "./stories/on-their-way.ts";
import { PAUSED } from "./stories/paused.ts";
import { POISON } from "./stories/poison.ts";
import type { Story } from "./stories/story.ts";

/** All that can have happened to a lead of the demo. The shares add up to a thousand. */
export const STORIES: readonly Story[] = [
  ...ON_THEIR_WAY,
  ...ABOUT_TO_STOP,
  ...PAUSED,
  ...ENDED,
  ...BOOKED_AND_CHASED,
  ...POISON,
];

/** How many leads have a story of their own. */
export const POISONED_LEADS = POISON.length;
