import { afterAll, expect, it } from "@jest/globals";
import { withOperator } from "../../cli/operator.ts";
import { forecast } from "../../lib/operate/forecast.ts";
import { startInvokeApi } from "../support/lambda/invoke-api.ts";

let errorMessage = "";
const failing = {
  invoke: () => Promise.resolve({ kind: "error", errorType: "Error", errorMessage, trace: [] } as const),
};
const lambda = await startInvokeApi({ "backstop-dev-look": failing });
Object.assign(process.env, {
  AWS_ENDPOINT_URL_LAMBDA: lambda.url,
  AWS_REGION: "eu-central-1",
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "a-secret-of-this-test",
});
afterAll(() => lambda.close());

const asked = () => withOperator({ stage: "dev", folder: "" }, (operator) => operator.ask(forecast, {}));

it("a function that meets its limit of time says to ask for less; another failure does not", async () => {
  errorMessage = "2026-11-30T11:00:00.000Z 0f3b Task timed out after 60.00 seconds";
  await expect(asked()).rejects.toThrow(/Task timed out.*; ask for less, such as one --workspace or fewer --days/);
  errorMessage = "permission denied";
  await expect(asked()).rejects.toThrow(/^the function failed \(Unhandled\): [^;]*permission denied[^;]*$/);
});
