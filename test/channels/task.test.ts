import { describe, expect, it } from "@jest/globals";
import { type TaskFromTouch, taskChannel } from "../../lib/channels/task.ts";
import { aTouch, itKeepsTheContract } from "./contract.ts";

/** Stores tasks like the database does: one per touch. */
function keeper() {
  const tasks = new Map<string, TaskFromTouch>();
  const keep = (task: TaskFromTouch) =>
    Promise.resolve(void (tasks.has(task.touchId) || tasks.set(task.touchId, task)));
  return { tasks, channel: taskChannel(keep) };
}

itKeepsTheContract({
  name: "task",
  channel: "task",
  behaviours: ["accepts"],
  unaddressed: null,
  open() {
    const { tasks, channel } = keeper();
    return Promise.resolve({ channel, taken: () => [...tasks.keys()] });
  },
});

describe("a task", () => {
  it("has its subject as title, or else the first line of its text", async () => {
    const { tasks, channel } = keeper();
    await channel.send(aTouch({ id: "a", message: { subject: "Call Ada", body: "by noon" } }));
    await channel.send(aTouch({ id: "b", message: { subject: null, body: "\nCall Ada\nby noon" } }));
    expect([...tasks.values()].map(({ title }) => title)).toEqual(["Call Ada", "Call Ada"]);
  });

  it("is created once for any number of deliveries of its touch", async () => {
    const { tasks, channel } = keeper();
    await channel.send(aTouch());
    await channel.send(aTouch());
    expect(tasks.size).toBe(1);
  });

  it("needs no address", async () => {
    const { channel } = keeper();
    expect(await channel.send(aTouch({ email: null, phone: null }))).toMatchObject({ kind: "accepted" });
  });
});
