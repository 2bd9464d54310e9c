/** PLACEHOLDER, to be replaced: the stack defines this function's queue, role and alarms; its code is still to come. */
export const handler = (): Promise<never> =>
  Promise.reject(
    new Error("functions/deliver.ts is not written yet; leave `delivery` out of the stage's configuration"),
  );
