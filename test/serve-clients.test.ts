// Clients of the server: the official one of OpenAI, and many at once, among them those that leave and that send nonsense.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { embeddedModel, loadModel } from "attention-bypass";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";
import t from "tap";
import { eventsOf, metric, post, startCommand, startServing, until } from "./support/serving.ts";

t.setTimeout(300_000);

const prompt = "Why was it that";

t.test("the official client", async (t) => {
  const { model, url } = await startServing(t, { apiKey: "key" });
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "key", maxRetries: 0 });
  const generated = await model.generate(prompt, { maxNewTokens: 10, topLogProbabilities: 3 });

  const { data } = await client.models.list();
  t.same(
    data.map(({ id }) => id),
    ["tiny", "tiny:q1"],
  );
  const answer = await client.completions.create({
    ...{ model: "tiny", prompt, max_tokens: 10, temperature: 0, n: 2, logprobs: 3 },
  });
  t.equal(answer.choices.length, 2);
  for (const { text, logprobs } of answer.choices) {
    t.equal(text, generated.text);
    t.equal(logprobs?.tokens?.join(""), generated.text);
    t.equal(Object.keys(logprobs?.top_logprobs?.[0] ?? {}).length, 3);
  }
  t.equal(answer.usage?.completion_tokens, 20);

  const options = { stream: true, stream_options: { include_usage: true } } as const;
  const stream = await client.completions.create({ model: "tiny", prompt, max_tokens: 10, temperature: 0, ...options });
  let text = "";
  let usage = 0;
  for await (const { choices, usage: own } of stream) {
    text += choices[0]?.text ?? "";
    usage = own?.completion_tokens ?? usage;
  }
  t.same([text, usage], [generated.text, 10]);

  const endless = await client.completions.create({
    model: "tiny",
    prompt: "The",
    max_tokens: 250,
    temperature: 2,
    n: 40,
    ...options,
  });
  const headers = { authorization: "Bearer key" };
  for await (const _ of endless) break;
  const running = () => metric(url, "attention_bypass_running_choices", headers);
  t.ok(await until(async () => (await running()) === 0), "nobody works for who has left");
  const status = 'attention_bypass_requests_total{route="/v1/completions",status="499"}';
  t.ok(await until(async () => (await metric(url, status, headers)) === 1));

  const leaving = new AbortController();
  const whole = client.completions.create(
    { model: "tiny", prompt: "The", max_tokens: 250, temperature: 2, n: 100 },
    { signal: leaving.signal },
  );
  whole.catch(() => {});
  t.ok(await until(async () => (await running()) === 100));
  leaving.abort();
  await t.rejects(whole);
  t.ok(await until(async () => (await running()) === 0), "nor for who awaited the whole");

  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    );
  t.ok((await reasonOf(client.completions.create({ model: "gpt-4", prompt }))) instanceof NotFoundError);
  t.ok(
    (await reasonOf(client.completions.create({ model: "tiny", prompt, suffix: "end" }))) instanceof BadRequestError,
  );
  const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: "other", maxRetries: 0 });
  t.ok((await reasonOf(stranger.models.list())) instanceof AuthenticationError);
});

/** How long the clients ask. */
const seconds = Number(process.env.SERVE_SECONDS ?? (process.env.CI === "true" ? 10 : 4));
const clients = 64;

/** Bodies that are no requests. */
const nonsense = [
  "{",
  '{"model":"tiny","prompt":NaN}',
  '{"model":"tiny","prompt":"a","max_tokens":1e999}',
  '{"__proto__":{"temperature":0},"model":"tiny","prompt":"a"}',
  `${"[".repeat(50_000)}`,
];

t.test(`${clients} clients at once`, async (t) => {
  // In a process of its own, whose memory is the server's alone.
  const { child, url, result } = await startCommand(t, "--name", "tiny", "--bypass", "q1");
  const model = await loadModel(embeddedModel(), { device: "cpu", threads: 1 });
  t.teardown(() => model.dispose());
  /** Requests with what the model gives for each of them alone. */
  const asked = await Promise.all(
    Array.from({ length: 24 }, async (_, number) => {
      const words = `${prompt} the ${["pond", "wagon", "lamp", "river"][number % 4]}`;
      const bypassed = number % 2 === 1;
      const seed = number % 3 === 0 ? undefined : number;
      const sampling = seed === undefined ? { temperature: 0 } : { temperature: 0.9, seed };
      const maxNewTokens = 3 + (number % 8);
      const bypass = bypassed ? { bypass: { blocks: { quartile: 1 } as const } } : {};
      const expected = await model.generate(words, { maxNewTokens, ...sampling, ...bypass });
      const name = bypassed ? "tiny:q1" : "tiny";
      const body = { model: name, prompt: words, max_tokens: maxNewTokens, ...sampling, stream: number % 4 === 0 };
      return { body, expected: expected.text };
    }),
  );
  const textOf = (body: unknown, stream: boolean): string =>
    stream
      ? eventsOf(body as string)
          .map(({ choices }) => choices[0].text)
          .join("")
      : ((body as { choices: { text: string }[] }).choices[0]?.text ?? "");

  const counts = { answers: 0, wrong: 0, left: 0, nonsense: 0, lost: 0 };
  const end = performance.now() + seconds * 1000;
  const client = async (number: number): Promise<void> => {
    for (let turn = number; turn < number + 2 || performance.now() < end; turn++) {
      const { body, expected } = asked[(turn * 7) % asked.length] as (typeof asked)[number];
      if (turn % 11 === 3) {
        const { status } = await post(`${url}/v1/completions`, nonsense[turn % nonsense.length]);
        counts.nonsense += status === 400 ? 1 : 0;
        counts.lost += status === 400 ? 0 : 1;
        continue;
      }
      if (turn % 7 === 2) {
        const signal = AbortSignal.timeout(1 + (turn % 40));
        await post(`${url}/v1/completions`, { ...body, max_tokens: 100 }, { signal }).catch(() => {});
        counts.left++;
        continue;
      }
      const answer = await post(`${url}/v1/completions`, body);
      if (answer.status !== 200) counts.lost++;
      else if (textOf(answer.body, body.stream) === expected) counts.answers++;
      else counts.wrong++;
    }
  };
  const memory: number[] = [];
  const watch = async (): Promise<void> => {
    while (performance.now() < end) {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      memory.push(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
      await sleep(200);
    }
  };
  await Promise.all([...Array.from({ length: clients }, (_, number) => client(number)), watch()]);
  t.comment(`${seconds} s of ${clients} clients: ${JSON.stringify(counts)}`);
  t.same([counts.wrong, counts.lost], [0, 0], "each answer is what the model gives alone, and none is lost");
  t.ok(counts.answers > clients && counts.left > 0 && counts.nonsense > 0);
  const grown = (memory.at(-1) as number) - (memory[memory.length >> 1] as number);
  t.comment(`resident memory ${Math.round(memory.at(-1) as number)} MiB, ${Math.round(grown)} more than halfway`);
  t.ok(grown < 48, `${grown} MiB more than halfway`);
  t.ok(await until(async () => (await metric(url, "attention_bypass_running_choices")) === 0));
  t.equal(await metric(url, "attention_bypass_waiting_requests"), 0);
  child.kill("SIGTERM");
  t.equal((await result).exitCode, 0);
});
