import * as z from "zod";
import { CALCOM_VERSIONS } from "../../lib/booking/calcom.ts";
import { API_URLS } from "../../lib/booking/tools.ts";
import { once } from "../../lib/domain/once.ts";
import { TOOL_NAMES } from "../../lib/domain/sweeps.ts";
import { CALCOM_EVENTS } from "../../lib/inbound/calcom.ts";
import type { ConnectableTool, EventType, Subscription, SubscriptionApi } from "./booking-tool.ts";
import { MOST_PAGES, type ToolApi, tooManyPages, unlessForbidden, unlessRefused } from "./tool-api.ts";

/**
 * Cal.com. A user's webhook reports the event types of that user, and an organisation's those of all its members and
 * teams. The API has none for a team without an organisation.
 * @see https://cal.com/docs/api-reference/v2/webhooks/create-a-webhook
 * @see https://cal.com/docs/api-reference/v2/team-event-types/list-team-event-types
 * @see https://cal.com/docs/api-reference/v2/organization-event-types/get-all-team-event-types
 * @see https://cal.com/help/webhooks
 */
export const connectableCalcom: ConnectableTool = {
  name: TOOL_NAMES.calcom,
  tokenVariable: "CALCOM_API_KEY",
  tokenPlace: "Cal.com → Settings → Developer → API keys",
  permission: "use the key of an admin of the organization, or --scope user for the meetings of one person",
  usualScope: "user",
  events: CALCOM_EVENTS,
  probe: { triggerEvent: "BACKSTOP_CHECK" },
  publicUrl: API_URLS.calcom,
  // Anyone can host Cal.com.
  urlVariable: "CALCOM_API_URL",
  subscriptions: webhooks,
};

const me = z.object({ data: z.object({ id: z.int(), organizationId: z.int().nullish() }) });
const webhook = z.object({
  id: z.union([z.string(), z.int()]).transform(String),
  subscriberUrl: z.string(),
  triggers: z.array(z.string()).catch([]),
  active: z.boolean(),
});
const created = z.object({ data: webhook });
const page = z.object({ data: z.array(webhook) });
const teams = z.object({ data: z.array(z.object({ id: z.int() })) });
/** A managed one cannot be booked: each member has a copy of it. */
const eventTypes = z.object({
  data: z
    .array(
      z.object({
        id: z.int(),
        title: z.string(),
        bookingUrl: z.string().nullish(),
        schedulingType: z.string().nullish(),
      }),
    )
    .transform((all) =>
      all
        .filter(({ schedulingType }) => schedulingType?.toLowerCase() !== "managed")
        .map(({ id, title, bookingUrl }): EventType => ({ id: String(id), name: title, url: bookingUrl ?? undefined })),
    ),
});

const OF_EVENT_TYPES = { "cal-api-version": CALCOM_VERSIONS.eventTypes };
/** Answers about teams to a user who may not see them. */
const UNSEEN = [403, 404];
/** The most that Cal.com gives in one answer. */
const PAGE = 250;

/** Accounts are named like their paths: `users/1`, `organizations/2`. */
function webhooks(api: ToolApi): SubscriptionApi {
  const accounts = once(async () => {
    const { id, organizationId } = (await api.call("/v2/me", me)).data;
    return { user: `users/${id}`, organization: organizationId ? `organizations/${organizationId}` : undefined };
  });

  const listed = async (account: string): Promise<readonly Subscription[]> => {
    const found: Subscription[] = [];
    const path = pathOf(account);
    for (let pages = 0; pages < MOST_PAGES; pages++) {
      const query = { take: String(PAGE), skip: String(found.length) };
      const { data } = await api.call(path, page, { query });
      found.push(...data.map((one) => subscriptionOf(one, account)));
      if (data.length < PAGE) return found;
    }
    throw tooManyPages("Cal.com", path);
  };

  return {
    accounts,

    async list(account) {
      const { user, organization } = await accounts();
      const ofUser = await listed(user);
      if (organization === undefined) return ofUser;
      const ofOrganization = listed(organization);
      const visible = account === organization ? ofOrganization : unlessForbidden(ofOrganization);
      return [...(await visible), ...ofUser];
    },

    async create({ account, url, key }) {
      const body = { subscriberUrl: url, triggers: CALCOM_EVENTS, active: true, secret: key };
      const { data } = await api.call(pathOf(account), created, { method: "POST", body });
      return subscriptionOf(data, account);
    },

    async remove({ id, account }) {
      await api.remove(`${pathOf(account)}/${encodeURIComponent(id)}`);
    },

    eventTypes: (account) => eventTypesOf(api, account),
  };
}

/** Those of the token's user and of the user's teams; with an organization, those of all its teams. */
async function eventTypesOf(api: ToolApi, account: string): Promise<readonly EventType[]> {
  const at = async (path: string) => (await api.call(path, eventTypes, { headers: OF_EVENT_TYPES })).data;
  // Cal.com answers 404 if there are none.
  const found = [...(await unlessRefused(at("/v2/event-types"), [404]))];
  const ofTeams = async () => (await api.call("/v2/teams", teams)).data;
  for (const { id } of await unlessRefused(ofTeams(), UNSEEN)) {
    found.push(...(await unlessRefused(at(`/v2/teams/${id}/event-types`), UNSEEN)));
  }
  if (account.startsWith("organizations/")) {
    found.push(...(await unlessRefused(at(`/v2/${account}/teams/event-types?take=${PAGE}`), UNSEEN)));
  }
  return [...new Map(found.map((one) => [one.id, one])).values()];
}

const pathOf = (account: string): string =>
  account.startsWith("organizations/") ? `/v2/${account}/webhooks` : "/v2/webhooks";

const subscriptionOf = (
  { id, subscriberUrl: url, triggers: events, active: isActive }: z.output<typeof webhook>,
  account: string,
): Subscription => ({ id, url, events, isActive, account });
