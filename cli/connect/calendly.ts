import * as z from "zod";
import { API_URLS } from "../../lib/booking/tools.ts";
import { once } from "../../lib/domain/once.ts";
import { TOOL_NAMES } from "../../lib/domain/sweeps.ts";
import { CALENDLY_EVENTS } from "../../lib/inbound/calendly.ts";
import { Problem } from "../problem.ts";
import type { ConnectableTool, EventType, Subscription, SubscriptionApi } from "./booking-tool.ts";
import { MOST_PAGES, RefusedByTool, type ToolApi, tooManyPages, unlessForbidden } from "./tool-api.ts";

/**
 * Calendly. A personal access token of an owner or admin subscribes for the organisation, another one only for its user.
 * A subscription cannot be changed, and its signing key cannot be read.
 * @see https://developer.calendly.com/docs/webhooks/overview
 */
export const connectableCalendly: ConnectableTool = {
  name: TOOL_NAMES.calendly,
  tokenVariable: "CALENDLY_API_TOKEN",
  tokenPlace: "Calendly → Integrations & apps → API and webhooks → Personal access tokens",
  permission:
    "use the token of an owner or admin of the organization, or --scope user for the meetings of one person; " +
    "a token with scopes needs those of docs/connect.md; some plans have no webhooks",
  usualScope: "organization",
  events: CALENDLY_EVENTS,
  probe: { event: "backstop.check" },
  publicUrl: API_URLS.calendly,
  urlVariable: "CALENDLY_API_URL",
  subscriptions,
};

const me = z.object({ resource: z.object({ uri: z.string(), current_organization: z.string() }) });
const resource = z
  .object({
    uri: z.string(),
    callback_url: z.string(),
    state: z.string(),
    events: z.array(z.string()),
    scope: z.string(),
    organization: z.string(),
    user: z.string().nullish(),
  })
  .transform(
    ({ uri, callback_url, state, events, scope, organization, user }): Subscription => ({
      id: uri,
      url: callback_url,
      events,
      isActive: state === "active",
      account: scope === "organization" ? organization : (user ?? ""),
    }),
  );
const created = z.object({ resource });
const pageOf = <Item>(item: z.ZodType<Item>) =>
  z.object({
    collection: z.array(item),
    pagination: z.object({ next_page_token: z.string().nullish() }).optional(),
  });
const subscriptionPage = pageOf(resource);
const eventType = z
  .object({ uri: z.string(), name: z.string().nullish(), scheduling_url: z.string().nullish() })
  .transform(
    ({ uri, name, scheduling_url }): EventType => ({ id: uri, name: name ?? "", url: scheduling_url ?? undefined }),
  );
const eventTypePage = pageOf(eventType);

/** The most that Calendly gives in one answer. */
const PAGE = 100;

function subscriptions(api: ToolApi): SubscriptionApi {
  const ownAccounts = once(async () => (await api.call("/users/me", me)).resource);

  const listed = (filter: Filter) => allOf(api, "/webhook_subscriptions", filter, subscriptionPage);

  return {
    async accounts() {
      const { uri, current_organization } = await ownAccounts();
      return { organization: current_organization, user: uri };
    },

    async list(account) {
      const { uri: user, current_organization: organization } = await ownAccounts();
      const ofOrganization = listed({ organization, scope: "organization" });
      const visible = account === organization ? ofOrganization : unlessForbidden(ofOrganization);
      return [...(await visible), ...(await listed({ organization, user, scope: "user" }))];
    },

    async create({ account, url, key }) {
      const { uri: user, current_organization: organization } = await ownAccounts();
      const target = account === organization ? { scope: "organization" } : { scope: "user", user };
      const body = { url, events: CALENDLY_EVENTS, organization, ...target, signing_key: key };
      return (await createOnce(api, body, url)).resource;
    },

    async remove({ id }) {
      const uuid = id.slice(id.lastIndexOf("/") + 1);
      await api.remove(`/webhook_subscriptions/${encodeURIComponent(uuid)}`);
    },

    async eventTypes(account) {
      const owner = account.includes("/organizations/") ? { organization: account } : { user: account };
      return await allOf(api, "/event_types", { ...owner, active: "true" }, eventTypePage);
    },
  };
}

type Filter = Readonly<Record<string, string>>;

async function allOf<Item>(
  api: ToolApi,
  path: string,
  filter: Filter,
  page: ReturnType<typeof pageOf<Item>>,
): Promise<readonly Item[]> {
  const found: Item[] = [];
  let next: string | null | undefined;
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const query = { ...filter, count: String(PAGE), page_token: next ?? undefined };
    const { collection, pagination } = await api.call(path, page, { query });
    found.push(...collection);
    next = pagination?.next_page_token;
    if (!next) return found;
  }
  throw tooManyPages("Calendly", path);
}

async function createOnce(api: ToolApi, body: object, url: string): Promise<z.output<typeof created>> {
  try {
    return await api.call("/webhook_subscriptions", created, { method: "POST", body });
  } catch (thrown) {
    if (!(thrown instanceof RefusedByTool) || thrown.status !== 409) throw thrown;
    throw new Problem(
      `Calendly has a subscription to ${url} that this token cannot see: use the token of the person who created it, or of an admin`,
      { cause: thrown },
    );
  }
}
