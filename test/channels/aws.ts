import { types } from "node:util";
import * as z from "zod";

/** Sets up AWS clients in jest. The credentials are dummies, because local servers do not check signatures. */
export function prepareAws(): void {
  process.env["AWS_REGION"] = "eu-central-1";
  process.env["AWS_ACCESS_KEY_ID"] = "test";
  process.env["AWS_SECRET_ACCESS_KEY"] = "test";
  recogniseErrorsOfNode();
}

/**
 * Jest runs tests in a separate realm, where errors thrown by Node are not instances of Error. The AWS SDK checks
 * `instanceof Error` and would replace such errors with ones that lack the code.
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

/** The touch id in a SendTextMessage request. */
export const touchIn = (body: string): string => message.parse(JSON.parse(body)).Context.touchId;
