// Replaces `node:http` in bundles. Importing it as an ES module reads every export. WebSocket then loads all of Node's
// fetch, which costs a tenth of a function's init time. This module reads only the exports in use.
const http = process.getBuiltinModule("node:http");
export const { Agent, request, STATUS_CODES } = http;
// biome-ignore lint/style/noDefaultExport: node:http has a default export
export default http;
