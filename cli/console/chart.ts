import { CHANNELS, type Channel } from "../../lib/domain/labels.ts";

interface Day {
  readonly day: string;
  readonly touches: Partial<Record<Channel, number>>;
}

const WIDTH = 640;
const HEIGHT = 160;
const BASE = HEIGHT - 24;

/**
 * Stacked bars as SVG: one per day, one colour class per channel. The text of the picture is its label; the page shows
 * the same figures as a table. Numbers and fixed names only, so that it needs no escaping but the label's.
 */
export function barsOf(days: readonly Day[], label: string): string {
  if (days.length === 0) return "";
  const most = Math.max(1, ...days.map(({ touches }) => totalOf(touches)));
  const slot = WIDTH / days.length;
  const bars = days.map((day, index) =>
    barOf(day, { x: index * slot, width: Math.max(2, slot - 6), scale: (BASE - 14) / most }),
  );
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(label)}, at most ${most} on a day">`,
    `<line class="axis" x1="0" y1="${BASE}" x2="${WIDTH}" y2="${BASE}"/>`,
    ...bars,
    "</svg>",
  ].join("");
}

interface Slot {
  readonly x: number;
  readonly width: number;
  readonly scale: number;
}

function barOf({ day, touches }: Day, { x, width, scale }: Slot): string {
  let y = BASE;
  const parts = CHANNELS.flatMap((channel) => {
    const height = (touches[channel] ?? 0) * scale;
    if (height === 0) return [];
    y -= height;
    return [
      `<rect class="${channel}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"/>`,
    ];
  });
  const middle = round(x + width / 2);
  const count = `<text class="count" x="${middle}" y="${round(y - 3)}">${totalOf(touches)}</text>`;
  const date = `<text class="day" x="${middle}" y="${HEIGHT - 8}">${Number(day.slice(8))}</text>`;
  return [...parts, count, date].join("");
}

const totalOf = (touches: Day["touches"]): number => Object.values(touches).reduce((sum, count) => sum + count, 0);

const round = (value: number): number => Math.round(value * 10) / 10;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
