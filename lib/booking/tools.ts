import type { BookingToolName } from "../domain/labels.ts";
import { calcom } from "./calcom.ts";
import { calendly } from "./calendly.ts";
import { gohighlevel } from "./gohighlevel.ts";
import { apiReader, type CallLimits, type ReadApi } from "./http.ts";
import type { BookingTool, BookingToolSettings } from "./port.ts";

interface Tool {
  readonly apiUrl: string;
  readonly open: (read: ReadApi, settings: BookingToolSettings) => BookingTool;
}

const TOOLS: Readonly<Record<BookingToolName, Tool>> = {
  calendly: { apiUrl: "https://api.calendly.com", open: calendly },
  calcom: { apiUrl: "https://api.cal.com", open: calcom },
  gohighlevel: { apiUrl: "https://services.leadconnectorhq.com", open: gohighlevel },
};

/** The API of a tool, for one connection. Makes no call. */
export function bookingTool(name: BookingToolName, settings: BookingToolSettings, limits: CallLimits): BookingTool {
  const { apiUrl, open } = TOOLS[name];
  return open(apiReader({ url: settings.apiUrl ?? apiUrl, token: settings.apiToken, limits }), settings);
}
