import { setImmediate } from "node:timers/promises";

/** Work for one item, done together with all items that come in the same turn of the event loop. */
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
