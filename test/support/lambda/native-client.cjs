// Loaded before the runtime client, in the place of its native module, which is compiled from C++ on Lambda alone. It speaks to
// the Runtime API over HTTP; `next` is done by the client itself (AWS_LAMBDA_NODEJS_USE_ALTERNATIVE_CLIENT_1).
const http = require("node:http");
const Module = require("node:module");

const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
// Of its own, so that an answer does not wait behind the question for the next piece of work.
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
