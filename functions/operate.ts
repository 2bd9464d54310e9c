import { answerQuestion, carryOutOrder } from "../lib/operate/requests.ts";
import { loadOperateConfig } from "../lib/platform/config.ts";
import { lambdaSetup } from "../lib/platform/lambda.ts";
import { wireOperate } from "../lib/platform/wire-operate.ts";

const config = loadOperateConfig(process.env);
const { handle } = lambdaSetup(config);
const pool = wireOperate(config);

/** Answers one question, `{ question, input }`. Its database role may only SELECT. */
export const look = handle((event) => answerQuestion(pool, event));

/** Carries out one order, `{ order, input, orderId, by, reason }`, and records it with the id of the AWS request. */
export const operate = handle((event, lambda) => carryOutOrder(pool, event, lambda.awsRequestId));
