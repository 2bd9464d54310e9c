import { unexpected } from "./http.ts";
import type { ListedMeeting, TimeRange } from "./port.ts";

export interface Page<Meeting> {
  /** In order of their start. */
  readonly meetings: readonly Meeting[];
  /** Where the tool continues this list. Undefined at its end. */
  readonly next: string | undefined;
}

/** Where to read on: meetings that start at `from` or later, continued at `next` if given. */
export interface Position {
  readonly from: Date;
  readonly next: string | undefined;
}

/** Far more than a connection has in a window. */
const MOST_PAGES = 200;

/**
 * All meetings of a window, each once, in order of their start.
 *
 * Each page begins at the start of the last meeting that was read, so that pages cannot shift while they are read. A
 * meeting that is added or removed moves no other to another page. Only if one instant fills a page, the tool's own
 * continuation is followed. A list that is out of order or has no end is an unexpected answer.
 */
export async function allByStart<Meeting extends Pick<ListedMeeting, "id" | "startsAt">>(
  name: string,
  { from, to }: TimeRange,
  read: (position: Position) => Promise<Page<Meeting>>,
): Promise<readonly Meeting[]> {
  const found = new Map<string, Meeting>();
  let position: Position = { from, next: undefined };
  let pagesWithoutNews = 0;
  for (let pages = 0; pages < MOST_PAGES && pagesWithoutNews < 2; pages++) {
    const { meetings, next } = await read(position);
    assertInOrder(name, meetings, position.from);
    const known = found.size;
    for (const meeting of meetings) found.set(meeting.id, meeting);
    const last = meetings.at(-1)?.startsAt ?? position.from;
    if (next === undefined || last >= to) return within(found, { from, to });
    pagesWithoutNews = found.size > known ? 0 : pagesWithoutNews + 1;
    position = last > position.from ? { from: last, next: undefined } : { from: last, next };
  }
  throw unexpected(name, "the list has no end");
}

function assertInOrder(name: string, meetings: readonly Pick<ListedMeeting, "startsAt">[], from: Date): void {
  let before = from;
  for (const { startsAt } of meetings) {
    if (startsAt < before) throw unexpected(name, "the list is not in order of the start");
    before = startsAt;
  }
}

/** Sorted, because a meeting that was read twice may have moved in between. */
const within = <Meeting extends Pick<ListedMeeting, "startsAt">>(
  found: ReadonlyMap<string, Meeting>,
  { from, to }: TimeRange,
): readonly Meeting[] =>
  [...found.values()]
    .filter(({ startsAt }) => startsAt >= from && startsAt < to)
    .sort((one, other) => one.startsAt.getTime() - other.startsAt.getTime());
