// Bundles run this before their function, so that stacks name lines of the sources. Node's `--enable-source-maps` reads
// the map of each file that it loads, a tenth of a function's init time. This reads a map when a stack is read.
import { readFileSync } from "node:fs";
import { SourceMap, type SourceOrigin } from "node:module";
import { fileURLToPath } from "node:url";

Error.prepareStackTrace = (error, sites) => {
  const frames = sites.map((site, index) => frameOf(site, sites[index + 1]));
  return [Error.prototype.toString.call(error), ...frames].join("\n    at ");
};

/** A frame in V8's format. It names no class, because bundles shorten those names. */
function frameOf(site: NodeJS.CallSite, caller: NodeJS.CallSite | undefined): string {
  const url = site.getFileName();
  const origin = originOf(url, site.getLineNumber(), site.getColumnNumber());
  if (origin === undefined) return `${site}`;
  const kind = site.isAsync() ? "async " : site.isConstructor() ? "new " : "";
  // As Node does: the name where the function is defined, else where it is called.
  const defined = originOf(url, site.getEnclosingLineNumber(), site.getEnclosingColumnNumber());
  const called = caller && originOf(caller.getFileName(), caller.getLineNumber(), caller.getColumnNumber());
  const name = defined?.name ?? called?.name ?? site.getFunctionName() ?? "<anonymous>";
  // The map's paths start in the folder of the build, which has another place in Lambda.
  return `${kind}${name} (${origin.fileName.replace(/^(\.\.\/)+/, "")}:${origin.lineNumber}:${origin.columnNumber})`;
}

const maps = new Map<string, SourceMap | undefined>();

/** The place in the sources; undefined if the file has no map. Never throws: that would hide the error. */
function originOf(url: string | null, line: number | null, column: number | null): SourceOrigin | undefined {
  if (!url?.startsWith("file:") || line === null || column === null) return undefined;
  try {
    if (!maps.has(url)) maps.set(url, undefined).set(url, readMap(url));
    const origin = maps.get(url)?.findOrigin(line, column);
    return origin && "fileName" in origin ? origin : undefined;
  } catch {
    return undefined;
  }
}

const readMap = (url: string): SourceMap =>
  new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, "utf8")));
