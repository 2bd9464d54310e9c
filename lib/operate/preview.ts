import * as z from "zod";
import { unknownFields } from "../domain/field-lint.ts";
import { CHANNELS } from "../domain/labels.ts";
import { readableMessage } from "../domain/late-values.ts";
import { render } from "../domain/templates.ts";
import { isKnownStep, type LenientStep, lintStep, sampleLeadFor } from "../domain/written-sequence.ts";
import { readFieldNames } from "../store/lead-fields.ts";
import { readTemplateLead } from "../store/lead-lookups.ts";
import { leadName, theLead } from "./find-leads.ts";
import { question, Refused } from "./operation.ts";
import { sequenceName, theSequence } from "./sequences.ts";
import { theOrOnlyWorkspace, workspaceName } from "./workspaces.ts";

/** `preview`: a step of the latest version, rendered by the code that sends. Does not check whether it may be sent. */
export const preview = question({
  name: "preview",
  summary: "Renders a step for a lead, and shows its text, or why it cannot be sent.",
  input: z.strictObject({
    workspace: workspaceName.optional(),
    sequence: sequenceName,
    /** Its number, which counts from 1, or its key. */
    step: z.string().trim().min(1).max(200),
    /** Without it, a sample lead that has all values. */
    lead: leadName.optional(),
  }),
  answer: z.object({
    workspace: z.string(),
    sequence: z.string(),
    position: z.int(),
    channel: z.enum(CHANNELS),
    leadId: z.guid().nullable(),
    /** Null if the text cannot be written. */
    text: z.object({ subject: z.string().nullable(), body: z.string() }).nullable(),
    /** Values that the template needs and the lead lacks. */
    missing: z.array(z.string()),
    /** Faults of the texts, for their author; they quote the texts. */
    faults: z.array(z.string()),
  }),
  async run(db, { workspace: idOrName, sequence: wanted, step, lead: named }) {
    const workspace = await theOrOnlyWorkspace(db, idOrName);
    const naming = { workspaceId: workspace.id, workspace: workspace.name, idOrName: wanted };
    const { name, written } = await theSequence(db, naming);
    const { position, texts } = theStep(name, written?.steps ?? [], step);
    const found = named === undefined ? undefined : await theLead(db, { lead: named, workspace: workspace.id });
    const lead = found ? await readTemplateLead(db, found.id) : sampleLeadFor(texts);
    const rendered = render(texts, lead, workspace);
    const faults = [...lintStep(texts), ...unknownFields(texts, await readFieldNames(db, workspace.id))];
    return {
      workspace: workspace.name,
      sequence: name,
      position,
      channel: texts.channel,
      leadId: found?.id ?? null,
      text: rendered.kind === "rendered" ? readableMessage(rendered.message) : null,
      missing: rendered.kind === "missing" ? [...rendered.names] : [],
      faults:
        faults.length === 0 && rendered.kind === "invalid"
          ? [rendered.fault]
          : faults.map(({ part, message }) => `The ${part}: ${message}`),
    };
  },
});

function theStep(sequence: string, steps: readonly LenientStep[], named: string) {
  const index = steps.findIndex(({ key }, place) => key === named || String(place + 1) === named);
  const texts = steps[index];
  if (texts && !isKnownStep(texts)) {
    const text = `step "${named}" of "${sequence}" has a channel, condition or placeholder that only newer code knows`;
    throw new Refused("unknown_label", `${text}: deploy that, or use its command`);
  }
  if (texts) return { position: index + 1, texts };
  const known = steps.map(({ key }, place) => `${place + 1} (${key})`).join(", ") || "none";
  throw new Refused("not_found", `"${sequence}" has no step "${named}"; there are ${known}`);
}
