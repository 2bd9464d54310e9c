import { connect, type LookupFunction } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { outcomeOfFault, PROVIDER_LIMITS, type TimeLimits } from "../../lib/channels/aws-request.ts";
import { smsChannel } from "../../lib/channels/sms.ts";
import { prepareAws, touchIn } from "./aws.ts";
import { aTouch, type Behaviour, itKeepsTheContract, LATE_MS, NETWORK_BEHAVIOURS, SECRETS_OF_ADA } from "./contract.ts";
import { answering, closeServers, deadPort, type HttpDouble, httpServer, SILENCES, unansweredPort } from "./servers.ts";

beforeAll(prepareAws);

const SENDER = { originationIdentity: "pool-1", configurationSet: "events", messageType: "PROMOTIONAL" } as const;

/** The real client, pointed at a local server with the AWS SDK's endpoint variable. */
function channelAt(port: number, limits: TimeLimits = PROVIDER_LIMITS) {
  process.env["AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2"] = `http://127.0.0.1:${port}`;
  return smsChannel(SENDER, limits);
}

const JSON_ANSWER = { "content-type": "application/x-amz-json-1.0" };
const accepting = answering(200, JSON.stringify({ MessageId: "m-1" }), JSON_ANSWER);

/** An exception in the service's format. */
const failing = (status: number, exception: string, reason?: string, field?: string) =>
  answering(
    status,
    JSON.stringify({
      __type: `com.amazonaws#${exception}`,
      Message: SECRETS_OF_ADA,
      Reason: reason,
      ...(field && { Fields: [{ Name: field, Message: SECRETS_OF_ADA }] }),
    }),
    JSON_ANSWER,
  );

const ANSWERS: Readonly<Record<Exclude<Behaviour, "gone" | "unreachable">, Parameters<typeof httpServer>[0]>> = {
  ...SILENCES,
  accepts: accepting,
  refuses: failing(400, "ValidationException", "PRICE_OVER_THRESHOLD"),
  "is down": failing(400, "AccessDeniedException", "ACCOUNT_DISABLED"),
  "is busy": failing(500, "InternalServerException"),
  throttles: failing(400, "ThrottlingException"),
  late: (response) => setTimeout(() => accepting(response), LATE_MS).unref(),
};

itKeepsTheContract({
  name: "sms",
  channel: "sms",
  behaviours: NETWORK_BEHAVIOURS,
  unaddressed: { without: { phone: null }, reason: "no_phone" },
  async open(behaviour, limits) {
    if (behaviour === "gone") return { channel: channelAt(await deadPort(), limits), taken: () => [] };
    if (behaviour === "unreachable") return { channel: channelAt(await unansweredPort(), limits), taken: () => [] };
    const { port, requests } = await httpServer(ANSWERS[behaviour]);
    return { channel: channelAt(port, limits), taken: () => requests.map(({ body }) => touchIn(body)) };
  },
});

describe("a text message", () => {
  afterEach(closeServers);

  const sent = async (answer: Parameters<typeof httpServer>[0]) => {
    const server: HttpDouble = await httpServer(answer);
    return { outcome: await channelAt(server.port).send(aTouch()), server };
  };

  it("states sender, recipient, text, kind and touch", async () => {
    const { outcome, server } = await sent(accepting);
    expect(outcome).toEqual({ kind: "accepted", providerId: "m-1" });
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.headers["x-amz-target"]).toBe("PinpointSMSVoiceV2.SendTextMessage");
    expect(server.requests[0]?.headers.connection).toBe("close");
    expect(JSON.parse(server.requests[0]?.body ?? "")).toEqual({
      DestinationPhoneNumber: "+4930123456",
      OriginationIdentity: "pool-1",
      ConfigurationSetName: "events",
      MessageType: "PROMOTIONAL",
      MessageBody: "Guten Tag, Ada",
      Context: { touchId: aTouch().id },
    });
  });

  const refused = { kind: "refused" };
  const undeliverable = { kind: "refused", undeliverable: true };
  const retried = { kind: "retry" };
  const down = { kind: "channel_down", scope: "channel" };
  const downUnless = (reason: string) => ({ ...down, otherwise: { kind: "refused", reason } });

  it.each<[number, string, string | undefined, string | undefined, object, string]>([
    [400, "ValidationException", "FIELD_VALIDATION_FAILED", "MessageBody", refused, "field_validation_failed"],
    [400, "ValidationException", "INVALID_PARAMETER", "DestinationPhoneNumber", undeliverable, "invalid_parameter"],
    [400, "ValidationException", "INVALID_PARAMETER", "OriginationIdentity", down, "invalid_parameter"],
    [400, "ValidationException", "SENDER_ID_NOT_REGISTERED", undefined, down, "sender_id_not_registered"],
    [400, "ValidationException", "DESTINATION_COUNTRY_BLOCKED", undefined, refused, "destination_country_blocked"],
    [
      400,
      "ConflictException",
      "DESTINATION_PHONE_NUMBER_OPTED_OUT",
      undefined,
      undeliverable,
      "destination_phone_number_opted_out",
    ],
    [
      400,
      "ConflictException",
      "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE",
      undefined,
      refused,
      "destination_phone_number_blocked_by_protect_number_override",
    ],
    [
      400,
      "ConflictException",
      "NO_ORIGINATION_IDENTITIES_FOUND",
      undefined,
      downUnless("sms_no_origination_identities_found"),
      "no_origination_identities_found",
    ],
    [400, "ConflictException", "MESSAGE_TYPE_MISMATCH", undefined, down, "message_type_mismatch"],
    [400, "ConflictException", "REGISTRATION_NOT_COMPLETE", undefined, down, "registration_not_complete"],
    [400, "ResourceNotFoundException", undefined, undefined, down, "400_resource_not_found"],
    [
      402,
      "ServiceQuotaExceededException",
      "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT",
      undefined,
      down,
      "monthly_spend_limit_reached_for_text",
    ],
    [
      402,
      "ServiceQuotaExceededException",
      "DAILY_DESTINATION_CALL_LIMIT",
      undefined,
      { kind: "retry", throttled: { retryAfterMs: 600_000 } },
      "daily_destination_call_limit",
    ],
    [400, "AccessDeniedException", "ACCOUNT_DISABLED", undefined, down, "account_disabled"],
    [400, "AccessDeniedException", undefined, undefined, down, "400_access_denied"],
    [400, "UnrecognizedClientException", undefined, undefined, down, "400_unrecognized_client"],
    [403, "InvalidSignatureException", undefined, undefined, down, "403_invalid_signature"],
    [500, "InternalServerException", undefined, undefined, retried, "500_internal_server"],
    [503, "ServiceUnavailable", undefined, undefined, retried, "503_service_unavailable"],
    [500, "SomethingElse", undefined, undefined, { kind: "unknown" }, "500_something_else"],
    [504, "GatewayTimeout", undefined, undefined, { kind: "unknown" }, "504_gateway_timeout"],
  ])("maps %i %s %s of the field %s to %j", async (status, exception, reason, field, expected, told) => {
    const { outcome, server } = await sent(failing(status, exception, reason, field));
    expect(outcome).toEqual({ ...expected, reason: `sms_${told}` });
    // The client makes one attempt even for retryable errors.
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ["a page of a proxy", answering(200, "<html>welcome</html>")],
    ["a success without an id", answering(200, "{}", JSON_ANSWER)],
    ["a gateway that gave up", answering(502, "<html>bad gateway</html>")],
  ])("has an unknown outcome after %s", async (_answer, answer) => {
    expect(await sent(answer)).toMatchObject({ outcome: { kind: "unknown" } });
  });

  it("is a channel fault if no address of the host accepts a connection", async () => {
    const port = await deadPort();
    const addresses = [4, 4].map((family, index) => ({ address: `127.0.0.${index + 1}`, family }));
    const lookup: LookupFunction = (_hostname, _options, callback) => callback(null, addresses);
    const fault = await new Promise((failed) => connect({ host: "sms.test", port, lookup }).on("error", failed));
    expect(fault).toMatchObject({ errors: [{ syscall: "connect" }, { syscall: "connect" }] });
    expect(outcomeOfFault(fault, { name: "sms", answers: [] })).toEqual({ ...down, reason: "sms_not_reached" });
  });

  it("stops waiting for a response that never ends", async () => {
    const { port } = await httpServer((response) => {
      response.writeHead(200, JSON_ANSWER).write("{");
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    });
    const outcome = await channelAt(port, { connectMs: 300, answerMs: 400 }).send(aTouch());
    expect(outcome).toMatchObject({ kind: "unknown" });
  });
});
