import { describe } from "@jest/globals";
import { bookingToolContract } from "./contract.ts";
import { CALCOM } from "./stand-ins/calcom.ts";
import { CALENDLY } from "./stand-ins/calendly.ts";
import { GOHIGHLEVEL } from "./stand-ins/gohighlevel.ts";

describe.each([CALENDLY, CALCOM, GOHIGHLEVEL])("$name", bookingToolContract);
