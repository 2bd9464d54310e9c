import type { Service } from "./aws-request.ts";

const CONFLICT = /^ConflictException$/;
const VALIDATION = /^ValidationException$/;

/**
 * The exceptions of SendTextMessage and their reasons, after the API reference of the SMS and Voice API v2. One sender serves
 * all workspaces, so a fault of the sender is one of the channel.
 */
export const END_USER_MESSAGING: Service = {
  name: "sms",
  answers: [
    // Opted out at the provider, or no number at all.
    { exception: CONFLICT, reason: /^DESTINATION_PHONE_NUMBER_OPTED_OUT$/, means: "undeliverable" },
    { exception: VALIDATION, field: /^DestinationPhoneNumber$/, means: "undeliverable" },
    // Whatever number is blocked by a rule of the account for it or its country.
    { exception: CONFLICT, reason: /^DESTINATION_(PHONE_NUMBER|COUNTRY)_BLOCKED_/, means: "refused" },
    // In the sandbox, or a pool without a number for that country: other receivers may be reached.
    {
      exception: CONFLICT,
      reason: /^(DESTINATION_PHONE_NUMBER_NOT_VERIFIED|NO_ORIGINATION_IDENTITIES_FOUND)$/,
      means: "down",
      scope: "channel",
      unless: "refused",
    },
    // Every other conflict is one with the state of the sender, such as MESSAGE_TYPE_MISMATCH or REGISTRATION_NOT_COMPLETE.
    { exception: CONFLICT, reason: /./, means: "down", scope: "channel" },
    { exception: CONFLICT, means: "refused" },
    {
      exception: VALIDATION,
      reason: /^(SENDER_ID_.*|RESOURCE_NOT_ACCESSIBLE|INVALID_ARN|CHANNEL_NOT_ENABLED)$/,
      means: "down",
      scope: "channel",
    },
    { exception: VALIDATION, field: /^(OriginationIdentity|ConfigurationSetName)$/, means: "down", scope: "channel" },
    { exception: VALIDATION, means: "refused" },
    // The request names nothing else that could be missing than the sender and the configuration set.
    { exception: /^ResourceNotFoundException$/, means: "down", scope: "channel" },
    // ACCOUNT_DISABLED, INSUFFICIENT_ACCOUNT_REPUTATION, or no permission.
    { exception: /^AccessDeniedException$/, means: "down", scope: "channel" },
    // The spend limit of the month: a person has to raise it.
    { exception: /^ServiceQuotaExceededException$/, reason: /^MONTHLY_SPEND_LIMIT_/, means: "down", scope: "channel" },
    { exception: /^ServiceQuotaExceededException$/, means: "slow", waitMs: 10 * 60_000 },
    // "The API encountered an unexpected error and couldn't complete the request."
    { exception: /^InternalServerException$/, means: "retry" },
  ],
};
