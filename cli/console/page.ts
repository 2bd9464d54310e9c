import { join } from "node:path";
import { Liquid } from "liquidjs";
import type { RecentForecast } from "../forecast-pages.ts";
import type { Operator } from "../operator.ts";

export const VIEWS = join(import.meta.dirname, "views");

/** Every value is escaped, unless a view marks it `raw`; only charts are. */
const liquid = new Liquid({
  root: VIEWS,
  extname: ".liquid",
  outputEscape: "escape",
  cache: true,
  strictVariables: true,
});

/** An answer of the console: a page, or where to go after an order. */
export type HtmlPage =
  | { readonly status: number; readonly html: string }
  | { readonly status: 303; readonly location: string };

/** The state of the console's one session. */
export interface Session {
  /** The name that the person gave with the latest order. */
  by: string;
  /** The result of the latest order; shown once. */
  notice: string;
  readonly forecast: RecentForecast;
}

/** One request of the session. */
export interface Visit {
  readonly operator: Operator;
  readonly session: Session;
  readonly path: string;
  /** The parameters of the address, or the fields of the form. */
  readonly fields: URLSearchParams;
}

export type View = (visit: Visit) => Promise<HtmlPage>;

/** Renders a view. `title` is also its heading. */
export async function page(view: string, title: string, values: object, status = 200): Promise<HtmlPage> {
  return { status, html: await liquid.renderFile(view, { title, view, ...values }) };
}

/** A page that says what is wrong. */
export const problemPage = (title: string, text: string, status: number): Promise<HtmlPage> =>
  page("problem", title, { text }, status);
