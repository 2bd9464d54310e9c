import tests from "./jest.config.js";

// What `npm test` leaves to `npm run test:all`, so that it takes less than four minutes on two cores.
process.env.SKIP_LONG_TESTS = "1";
process.env.ONE_CASE_IN ??= "40";

export default tests;
