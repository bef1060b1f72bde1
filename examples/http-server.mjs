// A small HTTP server: POST /generate { "prompt", "maxNewTokens", "bypass", ... } streams a JSON line for each token. A client
// that leaves ends its own generation; SIGTERM lets those at work finish and takes no more.
// Run: node http-server.mjs [checkpoint folder], PORT in the environment.
import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { AttentionBypassError, embeddedModel, loadModel } from "attention-bypass";

const model = await loadModel(process.argv[2] ?? embeddedModel());
let atWork = 0;

async function generate(request, response) {
  // The options are those of model.stream, which refuses what they can't be.
  const { prompt, ...options } = await json(request);
  const left = new AbortController();
  response.once("close", () => left.abort());
  const { signal } = left;
  for await (const { text, token } of model.stream(prompt, { maxNewTokens: 64, ...options, signal })) {
    if (!response.headersSent) response.writeHead(200, { "content-type": "application/x-ndjson" });
    // A slow reader slows down its own generation alone.
    if (!response.write(`${JSON.stringify({ token, text })}\n`)) await once(response, "drain", { signal });
  }
  response.end();
}

function fail(error, response) {
  if (response.destroyed) return;
  const known = error instanceof AttentionBypassError || error instanceof SyntaxError;
  if (response.headersSent) return void response.destroy();
  const answer = { error: { code: error.code ?? "INVALID_JSON", message: known ? error.message : "internal error" } };
  response.writeHead(known ? 400 : 500, { "content-type": "application/json" }).end(JSON.stringify(answer));
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
