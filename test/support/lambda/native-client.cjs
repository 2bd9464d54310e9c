// Replaces the runtime client's native module, which is compiled from C++ for Lambda only. Talks to the Runtime API
// over HTTP; the client itself implements `next` (AWS_LAMBDA_NODEJS_USE_ALTERNATIVE_CLIENT_1).
const http = require("node:http");
const Module = require("node:module");

const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
// A separate agent, so that a response does not wait behind the request for the next invocation.
const agent = new http.Agent({ keepAlive: true });
const post = (path, body) => {
  const request = http.request(`${base}/${path}`, { method: "POST", agent }, (response) => response.resume());
  request.on("error", () => process.exit(1)).end(body);
};
const nativeClient = {
  done: (id, body) => post(`${id}/response`, body),
  error: (id, body) => post(`${id}/error`, body),
};

const load = Module._load;
Module._load = (request, ...rest) => (request === "./rapid-client.node" ? nativeClient : load(request, ...rest));
