import { openDatabase } from "../store/connect.ts";
import type { Pool } from "../store/sql.ts";
import type { OperateConfig } from "./config.ts";
import { connectionTo } from "./connection.ts";

/** Below the functions' time limit, so that a slow question ends with an error and not with the process. */
const ANSWER_TIMEOUT_MS = 50_000;

/** The one connection of the functions `look` and `operate`, which work in one transaction. Opens with the first query. */
export const wireOperate = (config: OperateConfig): Pool =>
  openDatabase({ ...connectionTo(config), max: 1, query_timeout: ANSWER_TIMEOUT_MS }).pool;
