import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { PROJECT } from "../../infra/bundle.ts";
import { ORDERS } from "../../lib/operate/orders.ts";
import { QUESTIONS } from "../../lib/operate/questions.ts";
import { orderRequest, questionRequest } from "../../lib/operate/requests.ts";

/** The events of a folder, by file name without extension. */
async function eventsIn(folder: string): Promise<ReadonlyMap<string, unknown>> {
  const files = (await readdir(join(PROJECT, folder))).filter((file) => file.endsWith(".json"));
  const events = files.map(async (file) => {
    const text = await readFile(join(PROJECT, folder, file), "utf8");
    return [basename(file, ".json"), JSON.parse(text) as unknown] as const;
  });
  return new Map(await Promise.all(events));
}

const fileNameOf = ({ name }: { readonly name: string }) => name.replaceAll(" ", "-");

const looks = await eventsIn("events/look");
const operates = await eventsIn("events/operate");

describe("the test events of the function look", () => {
  it("are one for each question, named after it", () => {
    expect([...looks.keys()].sort()).toEqual(QUESTIONS.map(fileNameOf).sort());
  });

  it.each([...looks])("%s is a valid event", (fileName, event) => {
    const request = questionRequest.parse(event);
    const asked = QUESTIONS.find(({ name }) => name === request.question);
    expect(asked && fileNameOf(asked)).toBe(fileName);
    expect(asked?.input.safeParse(request.input).error).toBeUndefined();
  });
});

describe("the test events of the function operate", () => {
  it.each([...operates])("%s is a valid event", (fileName, event) => {
    const request = orderRequest.parse(event);
    const given = ORDERS.find(({ name }) => name === request.order);
    expect(given && fileNameOf(given)).toBe(fileName);
    expect(given?.input.safeParse(request.input).error).toBeUndefined();
  });

  it("have their own order ids, so that none repeats another", () => {
    const ids = [...operates.values()].map((event) => orderRequest.parse(event).orderId);
    expect(ids.length).toBeGreaterThan(0);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
