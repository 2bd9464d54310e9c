import type { TopLevelToken } from "liquidjs";
import type { TemplateFaults } from "./template-faults.ts";

/** Maximum nesting of tags: LiquidJS recurses. */
const MOST_DEEP = 20;

/** Tags with an end tag, allowed or not. */
export const BLOCKS: ReadonlySet<string> = new Set(["if", "unless", "case", "for", "tablerow", "capture", "block"]);
/** Branch tags, with the blocks that may contain them. */
export const BRANCHES: ReadonlyMap<string, readonly string[]> = new Map([
  ["elsif", ["if", "unless"]],
  ["else", ["if", "unless", "case", "for"]],
  ["when", ["case"]],
]);

interface Block {
  readonly name: string;
  readonly at: number;
  hasElse: boolean;
  /** A `case` before its first branch: LiquidJS drops what is in between. */
  awaitsBranch: boolean;
}

/** The blocks that are open at one place in a template. */
export class OpenTags {
  readonly #faults: TemplateFaults;
  readonly #blocks: Block[] = [];

  constructor(faults: TemplateFaults) {
    this.#faults = faults;
  }

  /** Opens a block. Ignores tags without an end tag. */
  add(name: string, at: number): void {
    if (!BLOCKS.has(name)) return;
    this.#blocks.push({ name, at, hasElse: false, awaitsBranch: name === "case" });
    if (this.#blocks.length === MOST_DEEP + 1) this.#faults.add(at, `more than ${MOST_DEEP} nested tags`);
  }

  /** Checks that the innermost block sends its content. */
  contain(token: TopLevelToken): void {
    const block = this.#blocks.at(-1);
    if (!block?.awaitsBranch || token.getText().trim() === "") return;
    this.#faults.add(token.begin, "something between case and its first when, which is never sent");
    block.awaitsBranch = false;
  }

  /** Whether the branch tag is in its place. */
  branch(name: string, at: number): boolean {
    const block = this.#blocks.at(-1);
    const homes = BRANCHES.get(name) ?? [];
    if (!block || !homes.includes(block.name)) {
      this.#faults.add(at, `${name} without ${homes.slice(0, 2).join(" or ")} before it`);
      return false;
    }
    block.awaitsBranch = false;
    if (block.hasElse) {
      this.#faults.add(at, `${name} after else`);
      return false;
    }
    block.hasElse = name === "else";
    return true;
  }

  /** Closes the innermost block. Whether it has this name. */
  close(name: string): boolean {
    if (this.#blocks.at(-1)?.name !== name) return false;
    this.#blocks.pop();
    return true;
  }

  forget(): void {
    this.#blocks.length = 0;
  }

  reportUnclosed(): void {
    for (const { name, at } of this.#blocks) this.#faults.add(at, `the tag ${name} is not closed`);
  }
}
