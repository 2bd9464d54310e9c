import { setImmediate } from "node:timers/promises";

/** Batches the items of one event loop iteration into one call of `work`. */
export function gathered<Item>(work: (items: readonly Item[]) => Promise<void>): (item: Item) => Promise<void> {
  let items: Item[] = [];
  let worked: Promise<void> | undefined;
  const workOnAll = async () => {
    await setImmediate();
    const all = items;
    items = [];
    worked = undefined;
    await work(all);
  };
  return (item) => {
    items.push(item);
    worked ??= workOnAll();
    return worked;
  };
}
