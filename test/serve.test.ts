// The server: what it answers is what the model gives, in OpenAI's form, and each refusal has its status.
import { readFileSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Bypass, embeddedModel, loadModel, type ServeOptions, serve } from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { type Anything, refuses } from "./support/refusals.ts";
import { eventsOf, metric, post, startCommand, startServing, until } from "./support/serving.ts";

t.setTimeout(300_000);

const prompt = "Why was it that";
/** At this temperature, hardly a choice ends before its last token. */
const long = { prompt: "The", max_tokens: 250, temperature: 5, seed: 1 };
const q1: Bypass = { blocks: { quartile: 1 } };

t.test("answers", async (t) => {
  const { model, url } = await startServing(t);
  const complete = async (body: object) => {
    const { status, body: answer } = await post(`${url}/v1/completions`, { model: "tiny", prompt, ...body });
    t.equal(status, 200, JSON.stringify(answer).slice(0, 300));
    return answer;
  };
  const greedy = (bypass?: Bypass) =>
    model.generate(prompt, { maxNewTokens: 12, temperature: 0, ...(bypass && { bypass }) });

  await t.test("the model's, without a bypass, by name and by field", async (t) => {
    const [plain, bypassed] = [await greedy(), await greedy(q1)];
    t.not(plain.text, bypassed.text);
    const request = { temperature: 0, max_tokens: 12 };
    const answer = await complete(request);
    t.match(answer, { object: "text_completion", model: "tiny", id: /^cmpl-\w+$/, created: Number });
    t.equal(answer.choices[0].text, plain.text);
    t.same(Object.keys(answer.choices[0]), ["text", "index", "logprobs", "finish_reason"]);
    t.same(answer.usage, {
      prompt_tokens: 4,
      completion_tokens: plain.tokens.length,
      total_tokens: 4 + plain.tokens.length,
    });
    t.equal((await complete({ ...request, model: "tiny:q1" })).choices[0].text, bypassed.text);
    t.equal((await complete({ ...request, bypass: q1 })).choices[0].text, bypassed.text);
    t.equal((await complete({ ...request, bypass: null })).choices[0].text, plain.text);
    t.equal((await complete({ temperature: 0 })).usage.completion_tokens, 16, "OpenAI's default");
  });

  await t.test("prompts as text, ids and lists of either, with n and seeds", async (t) => {
    const ids = model.tokenizer?.encode(prompt) as number[];
    const request = { temperature: 0.9, seed: 5, max_tokens: 6, n: 3, top_p: 0.9, top_k: 20 };
    const alone = await model.generate(
      [0, 1, 2].map(() => prompt),
      {
        ...{ maxNewTokens: 6, temperature: 0.9, topP: 0.9, topK: 20, seed: [5, 6, 7] },
      },
    );
    const texts = alone.map(({ text }) => text);
    t.ok(new Set(texts).size > 1, "seeds differ");
    for (const given of [prompt, ids, [prompt], [ids]]) {
      const { choices } = await complete({ ...request, prompt: given });
      t.same(
        choices.map(({ text }: Anything) => text),
        texts,
      );
    }
    const { choices, usage } = await complete({ ...request, prompt: ["The", prompt] });
    t.same(
      choices.map(({ index }: Anything) => index),
      [0, 1, 2, 3, 4, 5],
    );
    t.same(
      choices.slice(3).map(({ text }: Anything) => text),
      texts,
      "a prompt's seeds do not depend on other prompts",
    );
    t.equal(usage.prompt_tokens, 5, "each prompt once");
  });

  await t.test("echo and log-probabilities", async (t) => {
    const request = { temperature: 0, max_tokens: 4, logprobs: 3, echo: true };
    const { choices, usage } = await complete(request);
    const { logprobs, text } = choices[0];
    const generated = await model.generate(prompt, { maxNewTokens: 4, topLogProbabilities: 3 });
    const scored = await model.logProbabilities(prompt, { topLogProbabilities: 3 });
    const tokens = [...scored.tokens, ...generated.tokens];
    const expected = [...scored.logProbabilities, ...generated.logProbabilities];
    t.equal(text, prompt + generated.text);
    t.equal(logprobs.tokens.join(""), text);
    t.same(
      logprobs.tokens,
      tokens.map((token) => model.tokenizer?.decode([token])),
    );
    t.same(logprobs.token_logprobs.slice(0, 4), expected.slice(0, 4));
    for (const [index, value] of logprobs.token_logprobs.entries()) {
      t.ok(index === 0 ? value === null : Math.abs(value - (expected[index] as number)) < 1e-4);
      t.equal(text.indexOf(logprobs.tokens[index], logprobs.text_offset[index]), logprobs.text_offset[index]);
      const top = logprobs.top_logprobs[index];
      if (index === 0) t.equal(top, null);
      else t.ok(Object.keys(top).length === 3 || Object.keys(top).length === 4, "and the token itself");
      if (index > 0) t.equal(top[logprobs.tokens[index]], value);
    }
    t.equal(usage.completion_tokens, 4);

    // As evaluation harnesses ask.
    const one = (await complete({ ...request, max_tokens: 1, logprobs: 1 })).choices[0];
    t.equal(one.logprobs.tokens.length, 5);
    t.equal(one.logprobs.tokens[4], logprobs.tokens[4], "the greedy token");
    t.equal(one.text, prompt + one.logprobs.tokens[4]);
    t.equal(one.finish_reason, "length");
    const none = await complete({ ...request, max_tokens: 0, logprobs: 0 });
    t.equal(none.choices[0].text, prompt);
    t.equal(none.choices[0].logprobs.top_logprobs, null);
    t.equal(none.choices[0].logprobs.token_logprobs.length, 4);
    t.equal(none.usage.completion_tokens, 0);
    t.equal((await complete({ max_tokens: 0, echo: true })).choices[0].logprobs, null);
  });

  await t.test("text offsets count code points, and parts of characters are bytes", async (t) => {
    const text = "a😀 é";
    const { choices } = await complete({ prompt: text, max_tokens: 0, echo: true, logprobs: 0 });
    const { tokens, text_offset } = choices[0].logprobs;
    t.equal(choices[0].text, text);
    const bytes = tokens.flatMap((token: string) =>
      token.startsWith("bytes:")
        ? token
            .slice(6)
            .split("\\x")
            .slice(1)
            .map((byte) => Number.parseInt(byte, 16))
        : [...Buffer.from(token)],
    );
    t.equal(Buffer.from(bytes).toString(), text);
    t.ok(tokens.some((token: string) => token.startsWith("bytes:\\x")));
    t.equal(text_offset.at(-1), [...text].length - 1);
  });

  await t.test("stop", async (t) => {
    const { text, tokens } = await greedy();
    const stop = model.tokenizer?.decode(tokens.slice(2, 4)) as string;
    const { choices, usage } = await complete({ temperature: 0, max_tokens: 12, stop });
    t.equal(choices[0].text, (text as string).slice(0, (text as string).indexOf(stop)));
    t.equal(choices[0].finish_reason, "stop");
    t.equal(usage.completion_tokens, 4);
  });

  await t.test("streams give what answers give", async (t) => {
    const request = {
      temperature: 0.9,
      seed: 1,
      max_tokens: 8,
      n: 2,
      prompt: [prompt, "The"],
      logprobs: 2,
      echo: true,
    };
    const whole = await complete(request);
    const text = await complete({ ...request, stream: true, stream_options: { include_usage: true } });
    const events = eventsOf(text);
    t.equal(new Set(events.map(({ id }) => id)).size, 1);
    const last = events.pop();
    t.same([last.choices, last.usage], [[], whole.usage]);
    for (const choice of whole.choices) {
      const own = events.flatMap(({ choices }) => choices).filter(({ index }) => index === choice.index);
      t.equal(own.map((one) => one.text).join(""), choice.text);
      t.equal(own.at(-1).finish_reason, choice.finish_reason);
      t.ok(own.slice(0, -1).every(({ finish_reason }) => finish_reason === null));
      t.same(
        own.flatMap(({ logprobs }) => logprobs.tokens),
        choice.logprobs.tokens,
      );
      t.same(
        own.flatMap(({ logprobs }) => logprobs.text_offset),
        choice.logprobs.text_offset,
      );
    }
    t.ok(events.every(({ usage }) => usage === null));
    const plain = eventsOf(await complete({ temperature: 0, stream: true }));
    t.ok(plain.every((event) => !("usage" in event)));
  });

  await t.test("models, health and metrics", async (t) => {
    const get = async (route: string) => (await fetch(url + route)).json() as Promise<Anything>;
    const { data } = await get("/v1/models");
    t.same(
      data.map(({ id }: Anything) => id),
      ["tiny", "tiny:q1"],
    );
    t.match(await get("/v1/models/tiny:q1"), { id: "tiny:q1", object: "model" });
    t.same(await get("/health"), { status: "ok", running: 0, waiting: 0 });
    const before = await metric(url, "attention_bypass_generated_tokens_total");
    await complete({ temperature: 0, max_tokens: 5 });
    t.equal((await metric(url, "attention_bypass_generated_tokens_total")) - before, 5);
    t.ok((await metric(url, 'attention_bypass_requests_total{route="/v1/completions",status="200"}')) > 5);
    t.equal(await metric(url, "attention_bypass_running_choices"), 0);
    const seconds = await metric(url, 'attention_bypass_request_seconds_bucket{le="+Inf"}');
    t.equal(await metric(url, "attention_bypass_request_seconds_count"), seconds + 1);
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const line of text.trimEnd().split("\n")) t.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]+\})? [\d.e+-]+)$/);
  });

  await t.test("fields that change nothing are accepted", async (t) => {
    const neutral = {
      ...{ suffix: null, presence_penalty: 0, frequency_penalty: 0, logit_bias: {}, best_of: 1, user: "somebody" },
      ...{
        stop: null,
        logprobs: null,
        n: null,
        echo: false,
        stream: false,
        seed: null,
        top_k: -1,
        stream_options: null,
      },
    };
    t.equal((await complete({ temperature: 0, ...neutral })).choices[0].text.length > 0, true);
  });

  await t.test("refusals", async (t) => {
    const wrong: [body: object, status: number, param: string | null, said: RegExp][] = [
      [{ model: undefined }, 400, "model", /missing/],
      [{ model: "gpt-4" }, 404, "model", /tiny, tiny:q1/],
      [{ model: 5 }, 400, "model", /5/],
      [{ prompt: undefined }, 400, "prompt", /prompt/],
      [{ prompt: "" }, 400, "prompt", /not empty/],
      [{ prompt: [] }, 400, "prompt", /array of 0/],
      [{ prompt: [[]] }, 400, "prompt", /not empty/],
      [{ prompt: [1, "a"] }, 400, "prompt", /token ids/],
      [{ prompt: [99_999] }, 400, "prompt", /99999/],
      [{ prompt: { a: 1 } }, 400, "prompt", /prompt/],
      [{ prompt: Array(300).fill(1) }, 400, "prompt", /256/],
      [{ prompt: Array(250).fill(1) }, 400, "prompt", /250 and 16/],
      [{ prompt: "word ".repeat(1000) }, 400, "prompt", /256/],
      [{ max_tokens: 0 }, 400, "max_tokens", /echo/],
      [{ max_tokens: 1e9 }, 400, "max_tokens", /256/],
      [{ temperature: -1 }, 400, "temperature", /-1/],
      [{ top_p: 0 }, 400, "top_p", /above 0/],
      [{ n: 0 }, 400, "n", /n is 0/],
      [{ n: 1e9 }, 400, "n", /128 choices/],
      [{ prompt: Array(129).fill("a") }, 400, "n", /128 choices/],
      [{ best_of: 3 }, 400, "best_of", /best_of/],
      [{ suffix: "end" }, 400, "suffix", /does not support/],
      [{ presence_penalty: 1 }, 400, "presence_penalty", /does not support/],
      [{ logit_bias: { 5: 1 } }, 400, "logit_bias", /does not support/],
      [{ logprobs: 21 }, 400, "logprobs", /20/],
      [{ stop: "" }, 400, "stop", /stop/],
      [{ stop: Array(17).fill("a") }, 400, "stop", /16/],
      [{ seed: -1 }, 400, "seed", /seed/],
      [{ stream_options: { include_usage: true } }, 400, "stream_options", /stream: true/],
      [{ maxTokens: 5 }, 400, "maxTokens", /known fields/],
      [{ bypass: { blocks: [99] } }, 400, "bypass", /from 0 to 7/],
      [{ bypass: { blocks: [1, 1] } }, 400, "bypass", /twice/],
      [{ bypass: { heads: { 1: [99] } } }, 400, "bypass", /head/],
      [{ bypass: "q1" }, 400, "bypass", /bypass/],
      [{ model: "tiny:q1", bypass: q1 }, 400, "bypass", /one bypass/],
    ];
    for (const [body, status, param, said] of wrong) {
      const answer = await post(`${url}/v1/completions`, { model: "tiny", prompt, ...body });
      const { error } = answer.body;
      t.same([answer.status, error.param], [status, param], JSON.stringify(body).slice(0, 80));
      t.match(error.message, said);
      t.equal(error.type, "invalid_request_error");
      t.ok(error.code === null || /^[a-z_]+$/.test(error.code));
      t.same(Object.keys(error), ["message", "type", "param", "code"]);
    }
    const long = await post(`${url}/v1/completions`, { model: "tiny", prompt: Array(300).fill(1) });
    t.equal(long.body.error.code, "context_length_exceeded");
    const chat = await post(`${url}/v1/chat/completions`, {
      model: "tiny",
      messages: [{ role: "user", content: "a" }],
    });
    t.same([chat.status, chat.body.error.code], [400, "chat_template_missing"]);
    for (const [route, status] of [
      ["/v1/embeddings", 404],
      ["/", 404],
      ["/v1/models/other", 404],
    ] as const) {
      const response = await fetch(url + route);
      t.equal(response.status, status);
      t.match(await response.json(), { error: { message: String } });
    }
  });
});

t.test("an API key", async (t) => {
  const { url } = await startServing(t, { apiKey: "the key" });
  const status = async (route: string, headers: Record<string, string> = {}) =>
    (await fetch(url + route, { headers })).status;
  for (const route of ["/v1/models", "/metrics"]) {
    t.equal(await status(route), 401);
    for (const wrong of ["Bearer the", "Bearer the key2", "the key", "Basic dGhlIGtleQ==", ""]) {
      t.equal(await status(route, { authorization: wrong }), 401, wrong);
    }
  }
  const refused = await post(`${url}/v1/completions`, { model: "tiny", prompt });
  t.match(refused.body, { error: { type: "authentication_error", code: "invalid_api_key" } });
  t.equal(refused.headers.get("www-authenticate"), "Bearer");
  t.equal(await status("/health"), 200);
});

t.test("an API key of the environment", async (t) => {
  process.env.ATTENTION_BYPASS_API_KEY = "secret";
  t.teardown(() => delete process.env.ATTENTION_BYPASS_API_KEY);
  const { url } = await startServing(t, { host: "0.0.0.0" });
  const own = url.replace("0.0.0.0", "127.0.0.1");
  t.equal((await fetch(`${own}/v1/models`)).status, 401);
  const authorization = "Bearer secret";
  t.equal((await fetch(`${own}/v1/models`, { headers: { authorization } })).status, 200);
  const body = { model: "tiny", prompt, max_tokens: 1 };
  t.equal((await post(`${own}/v1/completions`, body, { headers: { authorization } })).status, 200);
});

t.test("the queue and time", async (t) => {
  const { url } = await startServing(t, { limits: { running: 1, queue: 1, seconds: 2 } });
  const endless = { model: "tiny", ...long };
  const first = Array.from({ length: 6 }, () => post(`${url}/v1/completions`, endless));
  const answers = await Promise.all(first);
  const refused = answers.filter(({ status }) => status === 429);
  t.ok(refused.length > 0, "some were too many");
  for (const { body, headers } of refused) {
    t.match(body, { error: { type: "rate_limit_error", code: "queue_full" } });
    t.ok(Number(headers.get("retry-after")) >= 1);
  }
  t.ok(answers.every(({ status }) => [200, 429, 504].includes(status)));

  const slow = await startServing(t, { limits: { seconds: 0.02 } });
  const late = await post(`${slow.url}/v1/completions`, { ...endless, n: 100 });
  t.same([late.status, late.body.error.code], [504, "timeout"]);
  const cut = await post(`${slow.url}/v1/completions`, { ...endless, stream: true, n: 100 });
  const [, code] = /"code":"(\w+)"/.exec(JSON.stringify(cut.body).replaceAll("\\", "")) ?? [];
  t.equal(code, "timeout", "in the stream, or before it");
  t.notMatch(cut.body, /DONE/);
  t.ok(await until(async () => (await metric(slow.url, "attention_bypass_running_choices")) === 0));
});

t.test("closing refuses new requests and waits for running ones", async (t) => {
  const { url, server, model } = await startServing(t, { drainSeconds: 60 });
  const body = { model: "tiny", ...long, n: 12, stream: true };
  const running = post(`${url}/v1/completions`, body);
  t.ok(await until(async () => (await metric(url, "attention_bypass_running_choices")) > 0));
  const closed = server.close();
  const refused = await post(`${url}/v1/completions`, { model: "tiny", prompt });
  t.equal(refused.status, 503);
  t.match(refused.body, { error: { type: "server_error", code: "shutting_down" } });
  t.ok(Number(refused.headers.get("retry-after")) >= 1);
  t.equal((await fetch(`${url}/health`)).status, 503);
  t.ok(eventsOf((await running).body).length > 200, "it ran to its end");
  await closed;
  await t.rejects(fetch(`${url}/health`));
  t.ok((await model.generate("The", { maxNewTokens: 1 })).text, "the model is not disposed");

  const short = await startServing(t, { drainSeconds: 0.05 });
  const cut = post(`${short.url}/v1/completions`, { ...body, n: 100, stream: false });
  t.ok(await until(async () => (await metric(short.url, "attention_bypass_running_choices")) > 0));
  await short.server.close();
  t.equal((await cut).status, 503, "what takes too long is aborted");
});

t.test("chats, with a template", async (t) => {
  const folder = await temporaryFolder(t);
  await cp(embeddedModel(), folder, { recursive: true });
  const template =
    "{% for message in messages %}{% if message.role == 'assistant' %}{{ raise_exception('no assistants') }}{% endif %}" +
    "{{ message.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}Why was it that{% endif %}";
  const settings = { chat_template: "old", eos_token: "!" };
  await writeFile(
    path.join(folder, "tokenizer_config.json"),
    JSON.stringify({ chat_template: template, eos_token: "." }),
  );
  const model = await loadModel(folder, { device: "cpu", threads: 1 });
  const server = await serve(model, { port: 0, name: "tiny", bypasses: { q1 } });
  t.teardown(async () => {
    await server.close();
    await model.dispose();
  });
  const messages = [{ role: "user", content: [{ type: "text", text: "The wagon was old" }] }];
  const text = "The wagon was old.Why was it that";
  const ask = (body: object) =>
    post(`${server.url}/v1/chat/completions`, { model: "tiny", messages, temperature: 0, ...body });
  const { status, body } = await ask({ max_tokens: 6, logprobs: true, top_logprobs: 2 });
  const expected = await model.generate(text, { maxNewTokens: 6, topLogProbabilities: 2 });
  t.equal(status, 200);
  t.match(body, { object: "chat.completion", id: /^chatcmpl-/ });
  t.same(body.choices[0].message, { role: "assistant", content: expected.text });
  t.equal(body.choices[0].logprobs.content.length, 6);
  t.equal(body.choices[0].logprobs.content[0].top_logprobs.length, 2);
  t.equal(
    Buffer.from(body.choices[0].logprobs.content.flatMap(({ bytes }: Anything) => bytes)).toString(),
    expected.text,
  );
  t.equal(body.usage.prompt_tokens, model.tokenizer?.encode(text).length);
  const events = eventsOf((await ask({ max_completion_tokens: 6, stream: true })).body);
  t.equal(events.map(({ choices }) => choices[0].delta.content).join(""), expected.text);
  t.equal(events[0].choices[0].delta.role, "assistant");
  t.equal(events.at(-1).choices[0].finish_reason, "length");
  t.ok((await ask({ model: "tiny:q1" })).body.usage.completion_tokens > 16, "up to the rest of the context");
  for (const [wrong, param] of [
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "robot", content: "a" }] }, "messages.0.role"],
    [{ messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "messages.0.content"],
    [{ messages: [{ role: "assistant", content: "a" }] }, "messages"],
    [{ tools: [{ type: "function" }] }, "tools"],
    [{ top_logprobs: 2 }, "top_logprobs"],
  ] as const) {
    const refused = await ask(wrong);
    t.same([refused.status, refused.body.error.param], [400, param], JSON.stringify(wrong));
  }

  await writeFile(path.join(folder, "tokenizer_config.json"), JSON.stringify(settings));
  await writeFile(path.join(folder, "chat_template.jinja"), "{% for i in range(1000000000) %}{{ i }}{% endfor %}");
  const slow = await loadModel(folder, { device: "cpu", threads: 1 });
  const endless = await serve(slow, { port: 0, name: "tiny" });
  const refused = await post(`${endless.url}/v1/chat/completions`, { model: "tiny", messages });
  t.equal(refused.status, 400, "a template without an end");
  await endless.close();
  await slow.dispose();
});

t.test("what serve refuses", async (t) => {
  const model = await loadModel(embeddedModel(), { device: "cpu", threads: 1 });
  t.teardown(() => model.dispose());
  const refused = (options: object, ...said: string[]) =>
    refuses(t, said.join(), () => serve(model, options as ServeOptions), "INVALID_ARGUMENT", ...said);
  await refused({ host: "0.0.0.0" }, "ATTENTION_BYPASS_API_KEY");
  await refused({ host: "::" }, "ATTENTION_BYPASS_API_KEY");
  await refused({ port: 70_000 }, "options.port");
  for (const other of [undefined, null, {}, "models/gpt-neox", { config: {}, stream() {} }]) {
    await refuses(t, String(other), () => serve(other as never), "INVALID_ARGUMENT", "model");
  }
  await refused({ name: "a:b" }, "options.name");
  await refused({ apiKey: "" }, "options.apiKey");
  await refused({ limits: { queue: -1 } }, "options.limits.queue");
  await refused({ limits: { seconds: 0 } }, "options.limits.seconds");
  await refused({ color: 1 }, "options.color");
  await refused({ bypasses: { q9: undefined } }, "q9");
  await refuses(t, "block", () => serve(model, { bypasses: { a: { blocks: [99] } } }), "BLOCK_OUT_OF_RANGE", '["a"]');
  const server = await serve(model, { port: 0 });
  t.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  await refused({ port: Number(new URL(server.url).port) }, "EADDRINUSE");
  await Promise.all([server.close(), server.close()]);
  const wordless = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
  await refuses(t, "no tokenizer", () => serve(wordless), "TOKENIZER_MISSING", "loadModel");
  await wordless.dispose();
});

t.test("the command drains at SIGTERM", async (t) => {
  const { child, url, models, result } = await startCommand(t, "--bypass", "q1", "--bypass", "0-1");
  t.same(models, ["gpt-neox", "gpt-neox:q1", "gpt-neox:0-1"]);
  const body = { model: "gpt-neox:0-1", ...long, n: 12, stream: true };
  const running = post(`${url}/v1/completions`, body);
  t.ok(await until(async () => (await metric(url, "attention_bypass_running_choices")) > 0));
  child.kill("SIGTERM");
  t.ok(eventsOf((await running).body).length > 200);
  const { exitCode, errors } = await result;
  t.same([exitCode, errors], [0, ""]);
  const { dependencies } = JSON.parse(readFileSync(path.join(import.meta.dirname, "..", "package.json"), "utf8"));
  t.notOk("fastify" in dependencies, "only who serves needs it");
});
