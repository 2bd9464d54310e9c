import { unexpected } from "./http.ts";
import type { UnreadItem } from "./item-list.ts";
import type { ListedMeeting, TimeRange } from "./port.ts";

export interface Page<Meeting> extends Listed<Meeting> {
  /** Where the tool continues this list. Undefined at its end. */
  readonly next: string | undefined;
}

export interface Listed<Meeting> {
  /** In order of their start. */
  readonly meetings: readonly Meeting[];
  readonly unread: readonly UnreadItem[];
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
): Promise<Listed<Meeting>> {
  const found = new Found<Meeting>();
  let position: Position = { from, next: undefined };
  let pagesWithoutNews = 0;
  for (let pages = 0; pages < MOST_PAGES && pagesWithoutNews < 2; pages++) {
    const page = await read(position);
    assertInOrder(name, page.meetings, position.from);
    const hasNews = found.add(page);
    const last = page.meetings.at(-1)?.startsAt ?? position.from;
    if (page.next === undefined || last >= to) return found.within({ from, to });
    pagesWithoutNews = hasNews ? 0 : pagesWithoutNews + 1;
    position = last > position.from ? { from: last, next: undefined } : { from: last, next: page.next };
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

/** The items that the pages of a list have shown, each once. */
class Found<Meeting extends Pick<ListedMeeting, "id" | "startsAt">> {
  readonly #meetings = new Map<string, Meeting>();
  readonly #unread = new Map<string, UnreadItem>();

  /** Whether any is new. */
  add({ meetings, unread }: Listed<Meeting>): boolean {
    const known = this.#meetings.size + this.#unread.size;
    for (const one of meetings) this.#meetings.set(one.id, one);
    for (const one of unread) this.#unread.set(one.id ?? `${one.startsAt?.toISOString()} ${one.reason}`, one);
    return this.#meetings.size + this.#unread.size > known;
  }

  /** Sorted, because a meeting that was read twice may have moved in between. */
  within({ from, to }: TimeRange): Listed<Meeting> {
    const isWithin = (startsAt: Date) => startsAt >= from && startsAt < to;
    return {
      meetings: [...this.#meetings.values()]
        .filter(({ startsAt }) => isWithin(startsAt))
        .sort((one, other) => one.startsAt.getTime() - other.startsAt.getTime()),
      unread: [...this.#unread.values()].filter(({ startsAt }) => startsAt === undefined || isWithin(startsAt)),
    };
  }
}
