import { carryOutOrder } from "../lib/operate/requests.ts";
import { loadOperateConfig } from "../lib/platform/config.ts";
import { lambdaSetup } from "../lib/platform/lambda.ts";
import { wireOperate } from "../lib/platform/wire-operate.ts";

const config = loadOperateConfig(process.env);
const { handle } = lambdaSetup(config);
const pool = wireOperate(config);

/** Carries out one order, `{ order, input, orderId, by, reason }`, and records it with the id of the AWS request. */
export const handler = handle((event, lambda) => carryOutOrder(pool, event, lambda.awsRequestId));
