import { createServer, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import type { WebhookPayload } from "../lib/channels/webhook.ts";

/** A made-up CRM. It finds the record by the first of these values that is not null. */
export interface Crm {
  addNote(record: readonly (string | null)[], note: { readonly title: string; readonly text: string }): Promise<void>;
}

/** An example receiver: files each touch once, as a note in the CRM. A real one keeps `progress` in its database. */
export function webhookReceiver(secret: string, crm: Crm, progress = new Map<string, "filing" | "filed">()): Server {
  async function file(id: string, body: string, headers: Record<string, string>): Promise<number> {
    const { type, data } = new Webhook(secret).verify(body, headers) as WebhookPayload;
    if (type !== "touch.due" || progress.get(id) === "filed") return 204;
    if (progress.has(id)) return 409;
    progress.set(id, "filing");
    const { lead, sequence, step, workspaceName } = data;
    const title = `${data.subject ?? sequence.name} (${workspaceName}: ${sequence.name}, step ${step.position})`;
    try {
      await crm.addNote([lead.externalId, lead.email, lead.phone], { title, text: data.body });
      progress.set(id, "filed");
      return 204;
    } catch {
      progress.delete(id);
      return 503;
    }
  }
  return createServer(async (request, response) => {
    const headers = request.headers as Record<string, string>;
    const filed = text(request).then((body) => file(headers["webhook-id"] ?? "", body, headers));
    response.writeHead(await filed.catch(() => 401)).end();
  });
}
