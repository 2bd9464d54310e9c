import { Duration } from "aws-cdk-lib";
import { Construct } from "constructs";
import { type StageProps, WorkerFunction } from "./worker-function.ts";

/** Above the functions' own limit for an answer, so that a slow one ends with an error that names it. */
const ANSWER_TIME_LIMIT = Duration.seconds(60);

/**
 * A forecast is computed (`npm run bench -- forecast`), and with this memory a function has a whole processor:
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
 */
const ONE_PROCESSOR_MB = 1_769;

/**
 * The functions that people call: one answers questions and may only read, one carries out orders. Both reach the
 * database and nothing else, and only principals with lambda:InvokeFunction may call them.
 */
export class Operate extends Construct {
  readonly look: WorkerFunction;
  readonly operate: WorkerFunction;

  constructor(scope: Construct, id: string, props: StageProps) {
    super(scope, id);
    const { configuration, names } = props;
    const shared = { ...props, entry: "operate", timeout: ANSWER_TIME_LIMIT, sends: false, onlyDatabase: true };
    this.look = new WorkerFunction(this, "Questions", {
      ...shared,
      handler: "look",
      functionName: names.lookFunction,
      description: "Backstop: answers the questions of people. It may only read.",
      databaseUser: configuration.database.lookUser,
      memorySize: ONE_PROCESSOR_MB,
    });
    this.operate = new WorkerFunction(this, "Orders", {
      ...shared,
      handler: "operate",
      functionName: names.operateFunction,
      description: "Backstop: carries out the orders of people, each once, and records who and why.",
    });
  }
}
