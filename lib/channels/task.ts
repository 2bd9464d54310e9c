import type { MessageChannel, OutgoingTouch } from "../run/channel-ports.ts";

/** Creates a task for a person. `createTask` must be a no-op if the touch already has a task. */
export const taskChannel = (createTask: (task: TaskFromTouch) => Promise<void>): MessageChannel => ({
  async send(touch) {
    await createTask({
      touchId: touch.id,
      workspaceId: touch.workspaceId,
      leadId: touch.leadId,
      title: touch.message.subject ?? firstLine(touch.message.body),
      notes: touch.message.body,
    });
    return { kind: "accepted", providerId: `task:${touch.id}` };
  },
});

export interface TaskFromTouch extends Pick<OutgoingTouch, "workspaceId" | "leadId"> {
  readonly touchId: string;
  readonly title: string;
  readonly notes: string;
}

const firstLine = (text: string): string => text.trim().split("\n", 1)[0] ?? "";
