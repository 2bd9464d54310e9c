// Values by index, without an object each: a forecast keeps some for every instance of a workspace.

/** Instants, or null. All are null at first, and take no memory until one is not. */
export class Instants {
  readonly #length: number;
  #times: Float64Array | undefined;

  constructor(length: number) {
    this.#length = length;
  }

  at(index: number): Date | null {
    const time = this.timeAt(index);
    return Number.isNaN(time) ? null : new Date(time);
  }

  /** In milliseconds; NaN for null. */
  timeAt(index: number): number {
    return this.#times?.[index] ?? Number.NaN;
  }

  set(index: number, instant: Date | null): void {
    if (instant) this.#times ??= new Float64Array(this.#length).fill(Number.NaN);
    if (this.#times) this.#times[index] = instant?.getTime() ?? Number.NaN;
  }
}

/** Texts of which few differ, or null. */
export class Labels {
  readonly #codes: Uint32Array;
  readonly #labels: (string | null)[] = [null];
  readonly #codeOf = new Map<string | null, number>([[null, 0]]);

  /** All null at first. */
  constructor(length: number) {
    this.#codes = new Uint32Array(length);
  }

  at(index: number): string | null {
    return this.#labels[this.#codes[index] ?? 0] ?? null;
  }

  set(index: number, label: string | null): void {
    const known = this.#codeOf.get(label);
    const code = known ?? this.#labels.push(label) - 1;
    if (known === undefined) this.#codeOf.set(label, code);
    this.#codes[index] = code;
  }
}

const TEXTS_PER_CHUNK = 1_000;

/** Texts without lone surrogates, as bytes outside of the heap: it would grow by more than their size. */
export class Texts {
  readonly #chunks: { readonly bytes: Buffer; readonly ends: Uint32Array }[] = [];
  #last: string[] = [];

  get length(): number {
    return this.#chunks.length * TEXTS_PER_CHUNK + this.#last.length;
  }

  push(text: string): void {
    this.#last.push(text);
    if (this.#last.length < TEXTS_PER_CHUNK) return;
    let end = 0;
    const ends = Uint32Array.from(this.#last, (each) => (end += Buffer.byteLength(each)));
    this.#chunks.push({ bytes: Buffer.from(this.#last.join("")), ends });
    this.#last = [];
  }

  at(index: number): string | undefined {
    const place = index % TEXTS_PER_CHUNK;
    const chunk = this.#chunks[Math.floor(index / TEXTS_PER_CHUNK)];
    return chunk ? chunk.bytes.toString("utf8", chunk.ends[place - 1] ?? 0, chunk.ends[place]) : this.#last[place];
  }
}

/** The rank of each text among all, from 0. */
export function ranksOf(texts: readonly string[]): Uint32Array {
  const order = [...texts.keys()].sort((one, other) => ((texts[one] ?? "") < (texts[other] ?? "") ? -1 : 1));
  const ranks = new Uint32Array(texts.length);
  for (const [rank, index] of order.entries()) ranks[index] = rank;
  return ranks;
}
