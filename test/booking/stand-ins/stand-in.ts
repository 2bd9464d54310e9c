import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { JsonAnswer } from "../../../cli/demo-calendly.ts";
import type {
  BookingTool,
  BookingToolSettings,
  CallBudget,
  ListedMeeting,
  ListParts,
  MeetingStatus,
  TimeRange,
  Unread,
} from "../../../lib/booking/port.ts";
import type { BookingToolName } from "../../../lib/domain/labels.ts";

/** A meeting of one person, in any tool. */
export interface StandInMeeting {
  readonly id: string;
  readonly email: string;
  readonly status: MeetingStatus;
  readonly startsAt: Date;
  readonly minutes: number;
  readonly bookedAt: Date;
  readonly changedAt: Date;
}

export interface StandInContent {
  meetings: readonly StandInMeeting[];
  freeTimes: readonly Date[];
}

export const TOKEN = "token-that-no-fault-may-name";
export const MINUTES = 30;
export const BOOKING_URL = "https://book.example/acme/demo";

export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;
const FROM = new Date("2027-03-01T00:00:00.000Z");
/** The instant so many milliseconds after the begin of the window. */
export const at = (ms: number): Date => new Date(FROM.getTime() + ms);
/** The window in which the tests list meetings. */
export const WINDOW = { from: FROM, to: at(14 * DAY) };
export const EMAIL = "ida@example.com";

/** A meeting on the second day of the window. */
export const aMeeting = (id: string, changes: Partial<StandInMeeting> = {}): StandInMeeting => ({
  id,
  email: EMAIL,
  status: "confirmed",
  startsAt: at(DAY),
  minutes: MINUTES,
  bookedAt: at(-DAY),
  changedAt: at(-DAY),
  ...changes,
});

/** A tool and the server that speaks its wire format. */
export interface ToolUnderTest {
  readonly name: BookingToolName;
  readonly settings: Pick<BookingToolSettings, "account" | "eventType">;
  /** The most meetings of a page. Undefined if the tool has no pages. */
  readonly pageSize: number | undefined;
  readonly statuses: readonly MeetingStatus[];
  /** Calls for the details of a meeting. */
  readonly detailCalls: number;
  readonly meetingId: (meeting: StandInMeeting) => string;
  /** The fields of a listed meeting that must be an instant and a known status. */
  readonly timeField: string;
  readonly statusField: string;
  readonly answer: (content: StandInContent, url: URL, request: IncomingMessage) => JsonAnswer;
}

/** A budget of so many calls, until the signal aborts. */
export function callBudget(calls: number, signal: AbortSignal): CallBudget {
  let left = calls;
  return { take: () => left-- > 0, signal };
}

/** The whole list of a tool, in order of the start, however many parts it has. */
export async function allMeetings(tool: BookingTool, window: TimeRange, budget: CallBudget) {
  const meetings: ListedMeeting[] = [];
  const unread: Unread[] = [];
  let parts: ListParts | undefined;
  do {
    const list = await tool.meetings(window, budget, parts);
    meetings.push(...list.meetings);
    unread.push(...list.unread);
    parts = list.rest;
  } while (parts.length > 0);
  return { meetings: meetings.toSorted((one, other) => +one.startsAt - +other.startsAt), unread };
}

export interface StandIn {
  readonly url: string;
  readonly content: StandInContent;
  readonly requests: readonly string[];
  /** Runs before each answer, with the number of requests so far. */
  before: (count: number) => void;
  /** Takes the place of the tool's answer. */
  instead: ((response: ServerResponse, answer: JsonAnswer) => void) | undefined;
  close(): Promise<void>;
}

export async function standInOf(tool: ToolUnderTest): Promise<StandIn> {
  const content: StandInContent = { meetings: [], freeTimes: [] };
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    standIn.before(requests.length);
    const answer = tool.answer(content, new URL(request.url ?? "/", "http://127.0.0.1"), request);
    if (standIn.instead) return standIn.instead(response, answer);
    send(response, answer.status, answer.body);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const standIn: StandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    content,
    requests,
    before: () => undefined,
    instead: undefined,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return standIn;
}

export const send = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void => {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
};
