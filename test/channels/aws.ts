import { types } from "node:util";
import * as z from "zod";

/** Lets a client of AWS work as it does outside jest, with what it signs with; servers on this machine do not check it. */
export function prepareAws(): void {
  process.env["AWS_REGION"] = "eu-central-1";
  process.env["AWS_ACCESS_KEY_ID"] = "test";
  process.env["AWS_SECRET_ACCESS_KEY"] = "test";
  recogniseErrorsOfNode();
}

/**
 * Jest runs tests in a realm of their own, where an error that Node throws is no instance of Error. The AWS SDK asks for
 * that, and would replace such an error by one without its code.
 */
function recogniseErrorsOfNode(): void {
  Object.defineProperty(Error, Symbol.hasInstance, {
    configurable: true,
    value(this: unknown, thrown: unknown) {
      return this === Error ? types.isNativeError(thrown) : Function.prototype[Symbol.hasInstance].call(this, thrown);
    },
  });
}

const message = z.object({ Context: z.object({ touchId: z.string() }) });

/** The touch that a text message tells of. */
export const touchIn = (body: string): string => message.parse(JSON.parse(body)).Context.touchId;
