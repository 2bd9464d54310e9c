import type { Service } from "./aws-request.ts";

const CONFLICT = /^ConflictException$/;
const VALIDATION = /^ValidationException$/;

/**
 * The exceptions of SendTextMessage and their reasons: SMS and Voice API v2 reference. All workspaces share one sender,
 * so a sender fault closes the whole channel.
 */
export const END_USER_MESSAGING: Service = {
  name: "sms",
  answers: [
    // Opted out at the provider, or not a valid number.
    { exception: CONFLICT, reason: /^DESTINATION_PHONE_NUMBER_OPTED_OUT$/, means: "undeliverable" },
    { exception: VALIDATION, field: /^DestinationPhoneNumber$/, means: "undeliverable" },
    // An account rule blocks the number or its country.
    { exception: CONFLICT, reason: /^DESTINATION_(PHONE_NUMBER|COUNTRY)_BLOCKED_/, means: "refused" },
    // The account is in the sandbox, or the pool has no number for that country. Other receivers may be reachable.
    {
      exception: CONFLICT,
      reason: /^(DESTINATION_PHONE_NUMBER_NOT_VERIFIED|NO_ORIGINATION_IDENTITIES_FOUND)$/,
      means: "down",
      scope: "channel",
      unless: "refused",
    },
    // All other conflicts concern the sender, such as MESSAGE_TYPE_MISMATCH or REGISTRATION_NOT_COMPLETE.
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
    // Only the sender or the configuration set can be missing.
    { exception: /^ResourceNotFoundException$/, means: "down", scope: "channel" },
    // ACCOUNT_DISABLED, INSUFFICIENT_ACCOUNT_REPUTATION, or missing permission.
    { exception: /^AccessDeniedException$/, means: "down", scope: "channel" },
    // The monthly spend limit: an operator must raise it.
    { exception: /^ServiceQuotaExceededException$/, reason: /^MONTHLY_SPEND_LIMIT_/, means: "down", scope: "channel" },
    { exception: /^ServiceQuotaExceededException$/, means: "slow", waitMs: 10 * 60_000 },
    // "The API encountered an unexpected error and couldn't complete the request."
    { exception: /^InternalServerException$/, means: "retry" },
  ],
};
