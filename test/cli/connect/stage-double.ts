import type { Pool } from "pg";
import { answerQuestion } from "../../../lib/operate/requests.ts";
import { httpServer } from "../../channels/servers.ts";
import type { Interrupt } from "./booking-tool-doubles.ts";

/** A secret of Secrets Manager. */
interface Stored {
  text: string;
  key: string | undefined;
  isDeleted: boolean;
}

interface Given {
  readonly status: number;
  readonly type: string;
  readonly body: object | string;
  readonly error?: string;
}

type Sent = Readonly<Record<string, unknown>>;

/**
 * A deployed stage, as AWS shows it: its secrets, the outputs of its stack, and its function `look` on a real database.
 * The answers have the shapes of the API references.
 */
export class StageDouble {
  readonly secrets = new Map<string, Stored>([["backstop/dev/unsubscribe", stored("{}", "alias/backstop-dev")]]);
  outputs: Readonly<Record<string, string>> = {};
  /** Whether the command dies at this call to Secrets Manager. */
  interrupt: Interrupt = () => undefined;

  async listen(pool: Pool): Promise<string> {
    const server = await httpServer((response) => {
      const { path = "", headers = {}, body = "" } = server.requests.at(-1) ?? {};
      const target = String(headers["x-amz-target"] ?? "");
      const answer = path.endsWith("/invocations")
        ? answerQuestion(pool, JSON.parse(body)).then((reply): Given => answered(reply))
        : Promise.resolve<Given>(target === "" ? this.#describeStacks() : this.#secret(target, JSON.parse(body)));
      void answer.then((given) => {
        response.writeHead(given.status, { "content-type": given.type, "x-amzn-errortype": given.error ?? "" });
        response.end(typeof given.body === "string" ? given.body : JSON.stringify(given.body));
      });
    });
    return `http://127.0.0.1:${server.port}`;
  }

  /** The parsed text of a secret. */
  secret(name: string): unknown {
    return JSON.parse(this.secrets.get(name)?.text ?? "null");
  }

  #describeStacks(): Given {
    const outputs = Object.entries(this.outputs).map(
      ([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`,
    );
    const stack = `<member><StackName>backstop-dev</StackName><Outputs>${outputs.join("")}</Outputs></member>`;
    const body = `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks>${stack}</Stacks></DescribeStacksResult></DescribeStacksResponse>`;
    return { status: 200, type: "text/xml", body };
  }

  #secret(target: string, sent: Sent): Given {
    const interrupted = this.interrupt();
    const answer = interrupted === "before" ? undefined : this.#carryOut(target.slice(target.indexOf(".") + 1), sent);
    // An error that the SDK does not retry.
    return interrupted || !answer ? refused("AccessDeniedException") : answer;
  }

  #carryOut(call: string, sent: Sent): Given {
    const name = String(sent["SecretId"] ?? sent["Name"]);
    const found = this.secrets.get(name);
    const SecretString = String(sent["SecretString"]);
    if (call === "CreateSecret") {
      if (found) return refused("ResourceExistsException");
      const key = sent["KmsKeyId"];
      this.secrets.set(name, stored(SecretString, key === undefined ? undefined : String(key)));
      return answered({ Name: name });
    }
    if (!found) return refused("ResourceNotFoundException");
    if (call === "RestoreSecret") found.isDeleted = false;
    else if (found.isDeleted && call !== "DescribeSecret") return refused("InvalidRequestException");
    if (call === "PutSecretValue") found.text = SecretString;
    if (call === "DeleteSecret") found.isDeleted = true;
    return answered({ Name: name, SecretString: found.text, KmsKeyId: found.key });
  }
}

const stored = (text: string, key: string | undefined): Stored => ({ text, key, isDeleted: false });

const JSON_TYPE = "application/x-amz-json-1.1";
const answered = (body: object): Given => ({ status: 200, type: JSON_TYPE, body });
const refused = (type: string): Given => ({
  status: 400,
  type: JSON_TYPE,
  error: type,
  body: { __type: type, message: type },
});
