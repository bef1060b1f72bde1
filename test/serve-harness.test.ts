// The lm-evaluation-harness through the server: the requests of its client local-completions give the scores of
// `model.benchmark`. test/reference/serve_harness.py runs the client itself.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { type Bypass, loadModel, serve } from "attention-bypass";
import t from "tap";
import { temporaryFolder } from "./support/fixtures.ts";
import { post } from "./support/serving.ts";
import { shared, skipReason } from "./support/shared.ts";

t.setTimeout(300_000);

const place = shared("data", "tasks");
const study = shared("study", "pythia-study");
const tokenizer = shared("data", "tokenizers", "gpt-neox-20b.tokenizer.json");
const questions = 12;

interface ArcRow {
  question: string;
  choices: { text: string[]; label: string[] };
  answerKey: string;
}

/** The first rows of a task whose choices are short. */
function rowsOf<Row>(file: string, fits: (row: Row) => boolean): Row[] {
  const lines = readFileSync(path.join(place as string, file), "utf8")
    .trim()
    .split("\n");
  return lines
    .map((line) => JSON.parse(line) as Row)
    .filter(fits)
    .slice(0, questions);
}

/** What the client takes from a choice of an answer. */
interface Choice {
  index: number;
  logprobs: { token_logprobs: number[]; top_logprobs: Record<string, number>[] };
}

t.test("accuracies of ARC-Easy and LAMBADA", { skip: !(place && study && tokenizer) && skipReason }, async (t) => {
  const model = await loadModel(study as string, { device: "cpu", threads: 1, tokenizer: tokenizer as string });
  const bypass: Bypass = { blocks: { quartile: 4 } };
  const server = await serve(model, { port: 0, name: "study", bypasses: { q4: bypass } });
  t.teardown(async () => {
    await server.close();
    await model.dispose();
  });
  const encode = (text: string) => model.tokenizer?.encode(text) as number[];

  /** The log-likelihoods of continuations and whether they are greedy, as the client asks and reads. */
  const logLikelihoods = async (name: string, pairs: readonly (readonly [context: string, continuation: string])[]) => {
    const encoded = pairs.map(([context, continuation]) => ({
      row: encode(context + continuation),
      first: encode(context).length,
    }));
    const answer = await post(`${server.url}/v1/completions`, {
      ...{ model: name, prompt: encoded.map(({ row }) => row) },
      ...{ temperature: 0, max_tokens: 1, logprobs: 1, seed: 1234, echo: true },
    });
    t.equal(answer.status, 200);
    return (answer.body.choices as Choice[]).map(({ index, logprobs }) => {
      const { first } = encoded[index] as (typeof encoded)[number];
      const own = logprobs.token_logprobs.slice(first, -1);
      const tops = logprobs.top_logprobs.slice(first, -1);
      t.equal(logprobs.token_logprobs.length, (encoded[index]?.row.length as number) + 1);
      const greedy = own.every((value, place) => value === Math.max(...Object.values(tops[place] as object)));
      return { value: own.reduce((sum, one) => sum + one, 0), greedy };
    });
  };

  const arc = rowsOf<ArcRow>("arc_easy.test.jsonl", ({ choices }) => choices.text.every((text) => text.length <= 200));
  const lambada = rowsOf<{ text: string }>("lambada_openai.test.jsonl", () => true);
  const data = await temporaryFolder(t);
  for (const [name, rows] of Object.entries({ arc_easy: arc, lambada_openai: lambada })) {
    await writeFile(path.join(data, `${name}.test.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }
  const check = async (name: string, options: { bypass?: Bypass }) => {
    const scores = await model.benchmark(["arc_easy", "lambada_openai"], { data, ...options });
    // All questions at once, as the client with num_concurrent.
    const answers = await Promise.all(
      arc.map(({ question, choices }) =>
        logLikelihoods(
          name,
          choices.text.map((text) => [`Question: ${question}\nAnswer:`, ` ${text}`] as const),
        ),
      ),
    );
    for (const [number, { choices, answerKey }] of arc.entries()) {
      const values = (answers[number] ?? []).map(({ value }) => value);
      const expected = scores.arc_easy?.perQuestion[number];
      t.equal(values.indexOf(Math.max(...values)) === choices.label.indexOf(answerKey), expected?.correct);
      for (const [place, value] of values.entries()) {
        const wanted = expected?.logLikelihoods[place] as number;
        t.ok(Math.abs(value - wanted) < 1e-3, `${name}, question ${number}: ${value} for ${wanted}`);
      }
    }
    const words = await logLikelihoods(
      name,
      lambada.map(({ text }) => {
        const end = text.lastIndexOf(" ");
        return [text.slice(0, end), text.slice(end)] as const;
      }),
    );
    t.equal(words.filter(({ greedy }) => greedy).length / questions, scores.lambada_openai?.accuracy);
    const mean = words.reduce((sum, { value }) => sum + value, 0) / questions;
    t.ok(Math.abs(Math.exp(-mean) / (scores.lambada_openai?.perplexity as number) - 1) < 1e-3, "perplexity");
  };
  await Promise.all([check("study", {}), check("study:q4", { bypass })]);
});

t.test("greedy continuations are told from others", { skip: !(study && tokenizer) && skipReason }, async (t) => {
  const model = await loadModel(study as string, { device: "cpu", threads: 1, tokenizer: tokenizer as string });
  const server = await serve(model, { port: 0, name: "study" });
  t.teardown(async () => {
    await server.close();
    await model.dispose();
  });
  const prompt = model.tokenizer?.encode("The history of the") as number[];
  const { tokens } = await model.generate(prompt, { maxNewTokens: 4 });
  const other = [...tokens.slice(0, 3), (tokens[3] as number) + 1];
  const answer = await post(`${server.url}/v1/completions`, {
    ...{ model: "study", prompt: [tokens, other].map((end) => [...prompt, ...end]) },
    ...{ temperature: 0, max_tokens: 1, logprobs: 1, echo: true },
  });
  const greedy = (answer.body.choices as Choice[]).map(({ logprobs }) =>
    logprobs.token_logprobs
      .slice(prompt.length, -1)
      .every(
        (value, place) => value === Math.max(...Object.values(logprobs.top_logprobs[prompt.length + place] as object)),
      ),
  );
  t.same(greedy, [true, false]);
});
