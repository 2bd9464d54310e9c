import type { BookingToolName } from "../domain/labels.ts";
import { calcom } from "./calcom.ts";
import { calendly } from "./calendly.ts";
import { gohighlevel } from "./gohighlevel.ts";
import { apiReader, type CallLimits, type ReadApi } from "./http.ts";
import type { BookingTool, BookingToolSettings } from "./port.ts";

/** The public addresses of the APIs. */
export const API_URLS = {
  calendly: "https://api.calendly.com",
  calcom: "https://api.cal.com",
  gohighlevel: "https://services.leadconnectorhq.com",
} as const satisfies Readonly<Record<BookingToolName, string>>;

type Open = (read: ReadApi, settings: BookingToolSettings) => BookingTool;
const TOOLS: Readonly<Record<BookingToolName, Open>> = { calendly, calcom, gohighlevel };

/** The API of a tool, for one connection. Makes no call. */
export function bookingTool(name: BookingToolName, settings: BookingToolSettings, limits: CallLimits): BookingTool {
  const url = settings.apiUrl ?? API_URLS[name];
  return TOOLS[name](apiReader({ url, token: settings.apiToken, limits }), settings);
}
