/** One bar: its name below it, and its parts from the bottom up. */
interface Bar {
  readonly name: string;
  readonly parts: readonly { readonly colour: string; readonly value: number }[];
}

const WIDTH = 640;
const HEIGHT = 160;
const BASE = HEIGHT - 24;
const WIDEST = 48;

/**
 * Stacked bars as SVG. The text of the picture is its label; the page shows the same figures as a table. Escapes the
 * label; the rest are numbers and fixed names.
 */
export function barsOf(bars: readonly Bar[], label: string): string {
  if (bars.length === 0) return "";
  const most = Math.max(...bars.map(totalOf));
  const scale = most > 0 ? (BASE - 14) / most : 0;
  const slot = WIDTH / bars.length;
  const width = Math.min(WIDEST, Math.max(2, slot - 6));
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(label)}, at most ${round(most)}">`,
    `<line class="axis" x1="0" y1="${BASE}" x2="${WIDTH}" y2="${BASE}"/>`,
    ...bars.map((bar, index) => barAt(bar, { x: index * slot, width, scale })),
    "</svg>",
  ].join("");
}

interface Slot {
  readonly x: number;
  readonly width: number;
  readonly scale: number;
}

function barAt(bar: Bar, { x, width, scale }: Slot): string {
  let y = BASE;
  const parts = bar.parts.flatMap(({ colour, value }) => {
    const height = value * scale;
    if (height === 0) return [];
    y -= height;
    const place = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;
    return [`<rect class="${colour}" ${place}/>`];
  });
  const middle = round(x + width / 2);
  const total = `<text x="${middle}" y="${round(y - 3)}">${round(totalOf(bar))}</text>`;
  const name = `<text x="${middle}" y="${HEIGHT - 8}">${escaped(bar.name)}</text>`;
  return [...parts, total, name].join("");
}

const totalOf = ({ parts }: Bar): number => parts.reduce((sum, { value }) => sum + value, 0);

const round = (value: number): number => Math.round(value * 10) / 10;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
