import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import * as z from "zod";
import { type HttpDouble, httpServer, type ReceivedRequest } from "../../channels/servers.ts";

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Faults in place of the next answers, in order. */
export type Fault = Answer | ((response: ServerResponse) => void);

/** When a command dies at a call. */
export type Interrupt = () => "before" | "after" | undefined;

/** A webhook subscription at a tool. */
export interface Hook {
  readonly id: string;
  readonly url: string;
  readonly key: string | undefined;
  readonly owner: string;
  events: readonly string[];
  active: boolean;
}

/** The API of a booking tool, as far as `connect` uses it, over real HTTP. */
export abstract class ToolDouble {
  readonly hooks: Hook[] = [];
  /** Each takes the place of one answer, if it is for a request that starts with the text. */
  readonly faults: { readonly to: string; readonly fault: Fault }[] = [];
  /** Whether the command dies at this call: before it is carried out, or after. */
  interrupt: Interrupt = () => undefined;
  token = "a-valid-token";
  mayAdminister = true;
  mayListEventTypes = true;
  /** Whether each page of subscriptions is followed by another. */
  listsWithoutEnd = false;
  eventTypes = [
    { id: 1, name: "Intro call", url: "https://book.example/intro" },
    { id: 2, name: "Viewing", url: "https://book.example/viewing" },
    { id: 3, name: "Viewing", url: "https://book.example/long-viewing" },
  ];
  #server: HttpDouble | undefined;

  async listen(): Promise<string> {
    this.#server = await httpServer((response) => {
      const request = this.#server?.requests.at(-1);
      if (request) this.#respond(request, response);
    });
    return `http://127.0.0.1:${this.#server.port}`;
  }

  #respond(request: ReceivedRequest, response: ServerResponse): void {
    const call = `${request.method} ${request.path}`;
    const interrupted = this.interrupt();
    if (interrupted === "after") this.answer(request);
    if (interrupted) {
      response.socket?.destroy();
      return;
    }
    const at = this.faults.findIndex(({ to }) => call.startsWith(to));
    const fault = at < 0 ? undefined : this.faults.splice(at, 1)[0]?.fault;
    if (typeof fault === "function") {
      fault(response);
      return;
    }
    const authorised = request.headers.authorization === `Bearer ${this.token}`;
    const { status, body, headers } = fault ?? (authorised ? this.answer(request) : this.unauthorised());
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  }

  protected abstract answer(request: ReceivedRequest): Answer;
  protected abstract unauthorised(): Answer;

  protected add(hook: Omit<Hook, "id" | "active">): Hook {
    const added = { ...hook, id: randomUUID(), active: true };
    this.hooks.push(added);
    return added;
  }

  protected drop(id: string): boolean {
    const at = this.hooks.findIndex((hook) => hook.id === id);
    if (at >= 0) this.hooks.splice(at, 1);
    return at >= 0;
  }
}

const API = "https://api.calendly.com";
export const CALENDLY_USER = `${API}/users/UUUU`;
export const CALENDLY_ORGANIZATION = `${API}/organizations/OOOO`;

const calendlyOrder = z.object({
  url: z.url(),
  events: z.array(z.string()),
  organization: z.string(),
  user: z.string().optional(),
  scope: z.enum(["organization", "user"]),
  signing_key: z.string().optional(),
});

/** Two items a page, so that there are several pages. */
const PAGE = 2;

export class CalendlyDouble extends ToolDouble {
  organization = CALENDLY_ORGANIZATION;

  protected answer({ method, path = "", body }: ReceivedRequest): Answer {
    const url = new URL(path, API);
    if (url.pathname === "/users/me") {
      return { status: 200, body: { resource: { uri: CALENDLY_USER, current_organization: this.organization } } };
    }
    if (method === "POST") return this.#create(calendlyOrder.parse(JSON.parse(body)));
    if (method === "DELETE") {
      return this.drop(url.pathname.split("/").at(-1) ?? "") ? { status: 204 } : { status: 404, body: NOT_FOUND };
    }
    return url.pathname === "/event_types" ? this.#listEventTypes(url.searchParams) : this.#list(url.searchParams);
  }

  #listEventTypes(query: URLSearchParams): Answer {
    if (!this.mayListEventTypes) return { status: 403, body: DENIED };
    const owner = query.get("organization") ?? query.get("user");
    const found = this.eventTypes.filter(() => owner !== null && query.get("active") === "true");
    const from = Number(query.get("page_token") ?? 0);
    const next_page_token = found.length > from + PAGE ? String(from + PAGE) : null;
    const collection = found.slice(from, from + PAGE).map(({ id, name, url }) => ({
      uri: `${API}/event_types/${id}`,
      name,
      active: true,
      scheduling_url: url,
    }));
    return { status: 200, body: { collection, pagination: { count: collection.length, next_page_token } } };
  }

  #create({ url, events, scope, user, signing_key }: z.output<typeof calendlyOrder>): Answer {
    if (scope === "organization" && !this.mayAdminister) return { status: 403, body: DENIED };
    if (this.hooks.some((hook) => hook.url === url)) return { status: 409, body: EXISTS };
    const owner = scope === "organization" ? this.organization : (user ?? "");
    return { status: 201, body: { resource: this.#shown(this.add({ url, events, owner, key: signing_key })) } };
  }

  #list(query: URLSearchParams): Answer {
    const scope = query.get("scope");
    if (scope === "organization" && !this.mayAdminister) return { status: 403, body: DENIED };
    const owner = scope === "organization" ? query.get("organization") : query.get("user");
    const found = this.hooks.filter((hook) => hook.owner === owner);
    const from = Number(query.get("page_token") ?? 0);
    const next_page_token = this.listsWithoutEnd || found.length > from + PAGE ? String(from + PAGE) : null;
    const collection = found.slice(from, from + PAGE).map((hook) => this.#shown(hook));
    return { status: 200, body: { collection, pagination: { count: collection.length, next_page_token } } };
  }

  #shown({ id, url, events, owner, active }: Hook) {
    const isUsers = owner === CALENDLY_USER;
    return {
      uri: `${API}/webhook_subscriptions/${id}`,
      callback_url: url,
      created_at: "2026-11-20T08:00:00.000000Z",
      updated_at: "2026-11-20T08:00:00.000000Z",
      retry_started_at: null,
      state: active ? "active" : "disabled",
      events,
      scope: isUsers ? "user" : "organization",
      organization: this.organization,
      user: isUsers ? owner : null,
      group: null,
      creator: CALENDLY_USER,
    };
  }

  protected unauthorised(): Answer {
    return { status: 401, body: { title: "Unauthenticated", message: "The access token is invalid" } };
  }
}

const NOT_FOUND = { title: "Resource Not Found", message: "The server could not find the requested resource." };
const DENIED = { title: "Permission Denied", message: "You do not have permission" };
const EXISTS = { title: "Already Exists", message: "Hook with this url already exists" };

const calcomOrder = z.object({
  subscriberUrl: z.string(),
  triggers: z.array(z.string()),
  active: z.boolean(),
  secret: z.string().optional(),
});

export class CalcomDouble extends ToolDouble {
  organizationId: number | null = 7;
  /** Keyed by the path that lists them. */
  readonly teamEventTypes: Record<string, readonly { id: number; title: string; schedulingType: string }[]> = {};

  protected answer({ method, path = "", body, headers }: ReceivedRequest): Answer {
    const url = new URL(path, "https://api.cal.com");
    const reading = this.#read(url.pathname, headers["cal-api-version"]);
    if (reading) return reading;
    const [, organization, id] = /^\/v2\/(?:organizations\/(\d+)\/)?webhooks(?:\/(.+))?$/.exec(url.pathname) ?? [];
    if (organization && !this.mayAdminister) return refusedByCalcom(403, "ForbiddenException", "not an admin");
    const owner = organization ? `organizations/${organization}` : "users/3";
    if (method === "POST") return this.#create(calcomOrder.parse(JSON.parse(body)), owner);
    if (method === "DELETE") {
      if (!this.drop(id ?? "")) return refusedByCalcom(404, "NotFoundException", "Webhook not found");
      return { status: 200, body: { status: "success", data: { id } } };
    }
    const data = this.hooks.filter((hook) => hook.owner === owner).map(shownByCalcom);
    const shown = this.listsWithoutEnd
      ? Array.from({ length: Number(url.searchParams.get("take")) }, () => shownByCalcom(OF_OTHERS))
      : data.slice(Number(url.searchParams.get("skip")));
    return { status: 200, body: { status: "success", data: shown } };
  }

  #read(path: string, version: unknown): Answer | undefined {
    if (/teams(\/|$)/.test(path)) return this.#listOfTeams(path);
    if (path === "/v2/event-types") return this.#listEventTypes(version);
    if (path !== "/v2/me") return undefined;
    const me = { id: 3, username: "hana", email: "hana@acme.test", organizationId: this.organizationId };
    return { status: 200, body: { status: "success", data: me } };
  }

  #listOfTeams(path: string): Answer {
    const data = path === "/v2/teams" ? [{ id: 11 }, { id: 12 }] : this.teamEventTypes[path];
    return data ? { status: 200, body: { status: "success", data } } : refusedByCalcom(403, "ForbiddenException", "no");
  }

  /** Other versions have another shape. */
  #listEventTypes(version: unknown): Answer {
    if (version !== "2024-06-14") return refusedByCalcom(400, "BadRequestException", "another version");
    if (!this.mayListEventTypes) return refusedByCalcom(403, "ForbiddenException", "no permission");
    if (this.eventTypes.length === 0) return refusedByCalcom(404, "NotFoundException", "Event types not found");
    const data = this.eventTypes.map(({ id, name, url: bookingUrl }) => ({ id, title: name, bookingUrl }));
    return { status: 200, body: { status: "success", data } };
  }

  #create({ subscriberUrl: url, triggers: events, secret: key }: z.output<typeof calcomOrder>, owner: string): Answer {
    const isTaken = this.hooks.some((hook) => hook.url === url && hook.owner === owner);
    if (isTaken) return refusedByCalcom(409, "ConflictException", "Webhook with this subscriber url already exists");
    return { status: 201, body: { status: "success", data: shownByCalcom(this.add({ url, events, owner, key })) } };
  }

  protected unauthorised(): Answer {
    return refusedByCalcom(401, "UnauthorizedException", "ApiAuthStrategy - Invalid API Key");
  }
}

const OF_OTHERS: Hook = {
  id: "9",
  url: "https://other.example",
  key: "other",
  owner: "users/3",
  events: [],
  active: true,
};

const shownByCalcom = ({ id, url, events, active, key }: Hook) => ({
  id,
  subscriberUrl: url,
  triggers: events,
  active,
  payloadTemplate: null,
  secret: key,
});

const refusedByCalcom = (status: number, code: string, message: string): Answer => ({
  status,
  body: { status: "error", timestamp: "2026-11-20T08:00:00.000Z", path: "/v2/webhooks", error: { code, message } },
});
