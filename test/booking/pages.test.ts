import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { allByStart, type Page, type Position } from "../../lib/booking/pages.ts";

interface Meeting {
  readonly id: string;
  readonly startsAt: Date;
}

const SIZE = 4;
const WINDOW = { from: new Date(0), to: new Date(1_000) };
const LATEST = 1_200;

/** As the tools do it: in order of the start, and continued at an offset. */
function pageOf(meetings: readonly Meeting[], { from, next }: Position): Page<Meeting> {
  const listed = meetings
    .filter(({ startsAt }) => startsAt >= from)
    .sort((one, other) => one.startsAt.getTime() - other.startsAt.getTime());
  const offset = Number(next ?? 0);
  const end = offset + SIZE;
  return { meetings: listed.slice(offset, end), unread: [], next: end < listed.length ? String(end) : undefined };
}

const starts = fc.integer({ min: 0, max: LATEST });
/** Fewer at one instant than fit on a page. */
const calendar = fc
  .uniqueArray(starts, { maxLength: 40 })
  .chain((instants) =>
    fc.tuple(...instants.map((at) => fc.integer({ min: 1, max: SIZE - 1 }).map((count) => ({ at, count })))),
  )
  .map((instants) =>
    instants.flatMap(({ at, count }) =>
      Array.from({ length: count }, (_, index): Meeting => ({ id: `${at}/${index}`, startsAt: new Date(at) })),
    ),
  );
const ids = (meetings: readonly Meeting[]): string[] => meetings.map(({ id }) => id);
const inWindow = ({ startsAt }: Meeting): boolean => startsAt >= WINDOW.from && startsAt < WINDOW.to;

describe("pages that are read while meetings come and go", () => {
  it("lose and double none that stays", async () => {
    await fc.assert(
      fc.asyncProperty(calendar, fc.array(fc.nat(), { maxLength: 60 }), async (all, choices) => {
        const coming = new Set(all.filter((_, index) => (choices[index] ?? 1) % 3 === 0));
        let present = all.filter((meeting) => !coming.has(meeting));
        let gone: Meeting[] = [];
        let pages = 0;
        const { meetings: listed } = await allByStart("list", WINDOW, async (position) => {
          const page = pageOf(present, position);
          const leaving = present.filter((_, index) => (choices[pages + index] ?? 1) % 5 === 0);
          gone = [...gone, ...leaving];
          present = [
            ...present.filter((meeting) => !leaving.includes(meeting)),
            ...[...coming].slice(pages, pages + 1),
          ];
          pages += 1;
          return page;
        });
        const stays = all.filter((meeting) => !coming.has(meeting) && !gone.includes(meeting) && inWindow(meeting));
        expect(new Set(ids(listed)).size).toBe(listed.length);
        expect(ids(listed)).toEqual(expect.arrayContaining(ids(stays)));
        expect(listed.every(inWindow)).toBe(true);
      }),
    );
  });

  it("are exactly the window if nothing changes, in order", async () => {
    await fc.assert(
      fc.asyncProperty(calendar, async (all) => {
        const { meetings: listed } = await allByStart("list", WINDOW, async (position) => pageOf(all, position));
        expect(new Set(ids(listed))).toEqual(new Set(ids(all.filter(inWindow))));
        const times = listed.map(({ startsAt }) => startsAt.getTime());
        expect(times).toEqual(times.toSorted((one, other) => one - other));
      }),
    );
  });

  it("have an end, also if every page brings new ones at one instant", async () => {
    let pages = 0;
    const reading = allByStart("list", WINDOW, async () => {
      pages += 1;
      return { meetings: [{ id: `${pages}`, startsAt: new Date(1) }], unread: [], next: "more" };
    });
    await expect(reading).rejects.toMatchObject({ code: "unexpected_answer", message: "list: the list has no end" });
    expect(pages).toBe(200);
  });

  it("have all that can be read, wherever pages of others lie between them", async () => {
    await fc.assert(
      fc.asyncProperty(calendar, fc.func(fc.boolean()), async (all, isReadable) => {
        const read = async (position: Position) => {
          const { meetings, next } = pageOf(all, position);
          const others = meetings.filter((meeting) => !isReadable(meeting));
          const unread = others.map((meeting) => ({ ...meeting, reason: "", fault: "unexpected_answer" as const }));
          return { meetings: meetings.filter((meeting) => !others.includes(meeting)), unread, next };
        };
        const { meetings, unread } = await allByStart("list", WINDOW, read);
        expect(new Set(ids([...meetings, ...(unread as readonly Meeting[])]))).toEqual(
          new Set(ids(all.filter(inWindow))),
        );
      }),
    );
  });
});
