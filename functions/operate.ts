import { answerQuestion, carryOutOrder } from "../lib/operate/requests.ts";
import { loadOperateConfig } from "../lib/platform/config.ts";
import { lambdaSetup } from "../lib/platform/lambda.ts";
import { connectionTo } from "../lib/store/iam-connection.ts";
import { openPool } from "../lib/store/pool.ts";

/** Below the functions' time limit, so that a slow question ends with an error and not with the process. */
const ANSWER_TIMEOUT_MS = 50_000;

const config = loadOperateConfig(process.env);
const { handle } = lambdaSetup(config);
/** One connection is enough: each event works in one transaction. Opens with the first query. */
const pool = openPool({ ...connectionTo(config), max: 1, query_timeout: ANSWER_TIMEOUT_MS });

/** Answers one question, `{ question, input }`. Its database role may only SELECT. */
export const look = handle((event) => answerQuestion(pool, event));

/** Carries out one order, `{ order, input, orderId, by, reason }`, and records it with the id of the AWS request. */
export const operate = handle((event, lambda) => carryOutOrder(pool, event, lambda.awsRequestId));
