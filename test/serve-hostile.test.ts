// Hostile clients of the server: each gets a clear answer or none, and the next client is served.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { metric, post, startServing, until } from "./support/serving.ts";

t.setTimeout(120_000);

const request = { model: "tiny", prompt: "Why was it that", max_tokens: 2, temperature: 0 };

async function open(t: Test, url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  t.teardown(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Sends bytes and returns all that comes back until the server closes the connection. */
async function exchange(t: Test, url: string, bytes: string): Promise<string> {
  const socket = await open(t, url);
  socket.write(bytes);
  return text(socket);
}

const head = (body: string, more = "") =>
  `POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;

t.test("hostile clients", async (t) => {
  const limits = { bodyBytes: 100_000, receiveSeconds: 0.6, queue: 4, running: 4 };
  const { url } = await startServing(t, { limits });
  const works = async (t: Test, after: string) => {
    const { status } = await post(`${url}/v1/completions`, request);
    t.equal(status, 200, `served after ${after}`);
  };
  const completions = `${url}/v1/completions`;

  await t.test("bodies", async (t) => {
    const bodies: [name: string, body: string, status: number][] = [
      ["no JSON", "{", 400],
      ["an empty body", "", 400],
      ["NaN", '{"model":"tiny","prompt":"a","temperature":NaN}', 400],
      ["infinity", '{"model":"tiny","prompt":"a","temperature":1e999}', 400],
      ["a prototype", '{"__proto__":{"n":3},"model":"tiny","prompt":"a"}', 400],
      ["a constructor", '{"constructor":{"prototype":{"n":3}},"model":"tiny","prompt":"a"}', 400],
      ["a prototype in the bypass", '{"model":"tiny","prompt":"a","bypass":{"__proto__":{"blocks":[1]}}}', 400],
      ["a deep list", `{"model":"tiny","prompt":${"[".repeat(40_000)}${"]".repeat(40_000)}}`, 400],
      ["a deep object", `{"model":"tiny","prompt":"a","bypass":${'{"a":'.repeat(15_000)}1${"}".repeat(15_000)}}`, 400],
      ["a list", "[]", 400],
      ["null", "null", 400],
      ["an enormous n", '{"model":"tiny","prompt":"a","n":9007199254740991}', 400],
      ["many ids", `{"model":"tiny","prompt":[${"1,".repeat(40_000)}1]}`, 400],
      ["many prompts", `{"model":"tiny","prompt":[${'"a",'.repeat(20_000)}"a"]}`, 400],
      ["an enormous id", '{"model":"tiny","prompt":[1e300]}', 400],
      ["a fraction", '{"model":"tiny","prompt":[1.5]}', 400],
      ["a long model", `{"model":"${"x".repeat(50_000)}","prompt":"a"}`, 404],
      [
        "many fields",
        `{"model":"tiny","prompt":"a",${Array.from({ length: 5000 }, (_, i) => `"f${i}":1`).join()}}`,
        400,
      ],
      ["too large", " ".repeat(200_000), 413],
    ];
    for (const [name, body, status] of bodies) {
      const answer = await post(completions, body);
      t.equal(answer.status, status, `${name}: ${JSON.stringify(answer.body).slice(0, 200)}`);
      t.match(answer.body, { error: { message: /^.{5,500}$/, type: "invalid_request_error" } }, name);
    }
    t.equal(({} as { n?: number }).n, undefined, "no prototype has changed");
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml"]) {
      const answer = await post(completions, JSON.stringify(request), { headers: { "content-type": type } });
      t.equal(answer.status, 415, type);
      t.match(answer.body, { error: { message: /application\/json/ } });
    }
    await works(t, "bodies");
  });

  await t.test("what is no HTTP, and long headers", async (t) => {
    t.match(await exchange(t, url, "hello\r\n\r\n"), /^HTTP\/1.1 400 .*"error":\{"message"/s);
    t.match(await exchange(t, url, head("{}", `X-Long: ${"x".repeat(40_000)}\r\n`)), /^HTTP\/1.1 431 /);
    t.match(
      await exchange(t, url, "GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
      /^HTTP\/1.1 400 .*"error":/s,
    );
    await works(t, "long headers");
  });

  await t.test("slow clients", async (t) => {
    // Both send a byte from time to time.
    const drip = async (start: string) => {
      const socket = await open(t, url);
      socket.write(start);
      const timer = setInterval(() => socket.write("x"), 100);
      const said = await text(socket);
      clearInterval(timer);
      return said;
    };
    const [headers, body] = await Promise.all([
      drip("POST /v1/completions HTTP/1.1\r\nHost: a\r\nX-Slow: "),
      drip(head("").replace("Length: 0", "Length: 90000")),
    ]);
    t.match(headers, /^HTTP\/1.1 408 /);
    t.match(body, /^HTTP\/1.1 408 /);
    const idle = await Promise.all(Array.from({ length: 50 }, () => open(t, url)));
    await works(t, "idle connections");
    for (const socket of idle) socket.destroy();
  });

  await t.test("pipelines that leave", async (t) => {
    const running = () => metric(url, "attention_bypass_running_choices");
    const body = JSON.stringify({ ...request, prompt: "The", max_tokens: 200, stream: true, temperature: 5 });
    for (let turn = 0; turn < 3; turn++) {
      const socket = await open(t, url);
      socket.write(head(body).repeat(20));
      await sleep(30 * turn);
      socket.destroy();
    }
    t.ok(await until(async () => (await running()) === 0), "nobody works for who has left");
    t.equal(await metric(url, "attention_bypass_waiting_requests"), 0);
    await works(t, "pipelines");
    const both = head(JSON.stringify(request)) + head(JSON.stringify(request), "Connection: close\r\n");
    t.equal((await exchange(t, url, both)).match(/HTTP\/1.1 200/g)?.length, 2, "one that stays is answered");
  });
});

t.test("a client that does not read holds its place no longer than the time limit", async (t) => {
  const { url } = await startServing(t, { limits: { seconds: 1 } });
  const socket = await open(t, url);
  socket.pause();
  // Much more than the buffers between the two take.
  const body = { ...request, prompt: "The", max_tokens: 250, n: 100, logprobs: 20, stream: true, temperature: 5 };
  socket.write(head(JSON.stringify(body)));
  const running = () => metric(url, "attention_bypass_running_choices");
  t.ok(await until(async () => (await running()) === 100));
  t.ok(await until(async () => (await running()) === 0));
  t.equal((await post(`${url}/v1/completions`, request)).status, 200);
});
