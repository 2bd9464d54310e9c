// Takes the place of `node:http` in bundles: an import of that as an ES module reads every export of it, WebSocket too, for which
// Node then loads all of its fetch; a tenth of the time in which a function starts. This reads what is asked for.
const http = process.getBuiltinModule("node:http");
export const { Agent, request, STATUS_CODES } = http;
// biome-ignore lint/style/noDefaultExport: Node exports the whole of it so
export default http;
