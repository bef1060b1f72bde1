// A small HTTP server: POST /generate { "prompt", "maxNewTokens", "bypass", ... } streams one JSON line for each token. If a client
// disconnects, its generation is cancelled. After SIGTERM, running requests finish and new ones are refused.
// Run: node http-server.mjs [checkpoint folder]. The environment variable PORT sets the port.
import { once } from "node:events";
import { createServer } from "node:http";
import { AttentionBypassError, embeddedModel, loadModel } from "attention-bypass";

const model = await loadModel(process.argv[2] ?? embeddedModel());
// In bytes. A prompt that fills the context is much shorter.
const bodyLimit = 1 << 20;
let atWork = 0;

/** An error in the request. */
class RequestError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** Reads a body that is a JSON object. Bytes beyond the limit are read and discarded, so that the client receives the answer. */
function readObject(request) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    let size = 0;
    request.on("data", (chunk) => {
      size += chunk.length;
      if (size <= bodyLimit) chunks.push(chunk);
      else reject(new RequestError(413, "BODY_TOO_LARGE", `expected a body of at most ${bodyLimit} bytes`));
    });
    request.once("error", reject);
    request.once("end", () => {
      try {
        const value = JSON.parse(Buffer.concat(chunks).toString());
        if (typeof value === "object" && value !== null && !Array.isArray(value)) resolve(value);
        else reject(new RequestError(400, "INVALID_JSON", 'expected a JSON object such as {"prompt": "The"}'));
      } catch (error) {
        reject(new RequestError(400, "INVALID_JSON", `expected JSON but ${error.message}`));
      }
    });
  });
}

async function generate(request, response) {
  // The options are those of model.stream, which validates them.
  const { prompt, ...options } = await readObject(request);
  const disconnected = new AbortController();
  response.once("close", () => disconnected.abort());
  const { signal } = disconnected;
  for await (const { text, token } of model.stream(prompt, { maxNewTokens: 64, ...options, signal })) {
    if (!response.headersSent) response.writeHead(200, { "content-type": "application/x-ndjson" });
    // A slow client slows down only its own generation.
    if (!response.write(`${JSON.stringify({ token, text })}\n`)) await once(response, "drain", { signal });
  }
  response.end();
}

/** Codes of errors that are not caused by the request. */
const serverErrors = new Set(["OUT_OF_MEMORY", "LIBTORCH_FAILED", "NOT_FINITE", "DISPOSED"]);

function fail(error, response) {
  if (response.destroyed) return;
  if (response.headersSent) return void response.destroy();
  const known =
    error instanceof RequestError || (error instanceof AttentionBypassError && !serverErrors.has(error.code));
  const answer = { code: known ? error.code : "INTERNAL", message: known ? error.message : "internal error" };
  if (!known) console.error(error);
  response.writeHead(known ? (error.status ?? 400) : 500, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: answer }));
}

const server = createServer(async (request, response) => {
  if (request.url === "/health") return void response.end(JSON.stringify({ atWork }));
  if (request.method !== "POST" || request.url !== "/generate") return void response.writeHead(404).end();
  atWork++;
  await generate(request, response)
    .catch((error) => fail(error, response))
    .finally(() => atWork--);
});

process.once("SIGTERM", async () => {
  server.close();
  server.closeIdleConnections();
  await once(server, "close");
  await model.dispose();
  console.log("drained");
});

server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);
