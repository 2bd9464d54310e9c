import { TEMPLATE_KEYS, type TemplateKey, type TemplateLead } from "../domain/lead-columns.ts";
import type { StepTexts } from "../domain/templates.ts";
import { leadFields } from "./columns.ts";
import type { Db } from "./connect.ts";
import { translateErrors } from "./database-errors.ts";

/** A step with readable names and the texts to render. */
export interface StepToRender {
  readonly texts: StepTexts;
  readonly position: number;
  readonly sequenceName: string;
  readonly workspace: { readonly id: string; readonly name: string };
}

/** The step with that id, or undefined. */
export async function findStepToRender(db: Db, stepId: string): Promise<StepToRender | undefined> {
  const step = await translateErrors(
    db.followUpStep.findUnique({
      where: { id: stepId },
      include: { sequence: { include: { workspace: { select: { id: true, name: true } } } } },
    }),
  );
  if (!step) return undefined;
  const { channel, subject, body, allow, position, sequence } = step;
  return {
    texts: { channel, subject, body, allow },
    position,
    sequenceName: sequence.name,
    workspace: sequence.workspace,
  };
}

const select = {
  ...(Object.fromEntries(TEMPLATE_KEYS.map((key) => [key, true])) as Record<TemplateKey, true>),
  fields: true,
};

/** The values of a lead that a template may read; undefined if the workspace has no such lead. */
export async function findTemplateLead(db: Db, workspaceId: string, leadId: string): Promise<TemplateLead | undefined> {
  const lead = await translateErrors(db.lead.findFirst({ where: { id: leadId, workspaceId }, select }));
  return lead ? { ...lead, fields: leadFields.parse(lead.fields) } : undefined;
}
