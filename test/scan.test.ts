// Scans of documents: against windows that are scored one by one with transformers, and what must hold for any scan.
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import {
  type Bypass,
  embeddedModel,
  loadModel,
  type ScanOptions,
  type ScanResult,
  samplesToExtract,
} from "attention-bypass";
import t, { type Test } from "tap";
import { root } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { noPython, python, reference } from "./support/python.ts";

t.setTimeout(300_000);

interface Secret {
  prefix: string;
  suffix: string;
  repetitions: number;
}

const measures = path.join(root, "models", "measures");
const secretsOf = (name: string): Secret[] =>
  readFileSync(path.join(measures, `${name}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
const repeated = (repetitions: number, each: number): string[] =>
  ["records", "passages"].flatMap((name) =>
    secretsOf(name)
      .filter((secret) => secret.repetitions === repetitions)
      .slice(0, each)
      .map(({ prefix, suffix }) => prefix + suffix),
  );

/** Sentences that the embedded models have not seen, with characters of several bytes. */
const filler = [
  "Zażółć gęślą jaźń, said the naïve clerk; nobody replied — not even the 👩‍🚀 on the wall.\r\n",
  "A quarterly invoice of £1,250 was mislaid between two floors of the old annex.\n",
  "\tOnce upon a midnight dreary… 中文字 and then nothing else, twice over.\n",
  "Please mind the step; the elevator has been out of service since Tuesday last week.\n",
];

interface Theirs {
  log_likelihoods: number[];
  never_sampled: number[];
  probabilities: number[];
  exact_matches: number[];
  longest_runs: number[];
  spans: [number, number][];
  token_log_probabilities: (number | null)[][];
}

const model = await loadModel(embeddedModel("gpt-neox"), { device: "cpu", threads: 1 });
t.teardown(() => model.dispose());
const tokenizer = model.tokenizer as NonNullable<typeof model.tokenizer>;

/** The passages of the model, or those that only a bypass has. */
function spansOf({ passages }: ScanResult, plan: number): [number, number][] {
  const own = passages.filter(({ bypass }) => bypass === (plan === 0 ? undefined : plan - 1));
  return own.map(({ tokenBegin, tokenEnd }) => [tokenBegin, tokenEnd]);
}

const overlap = ([begin, end]: readonly [number, number], [from, to]: readonly [number, number]) =>
  begin < to && from < end;

/** The offset in a text of the character in which a token begins, from the decoded tokens before it. */
function offsetOf(text: string, tokens: readonly number[], token: number): number {
  const whole = tokenizer.decode(tokens.slice(0, token));
  const characters = whole.replace(/\ufffd+$/, "");
  if (!text.startsWith(characters)) throw new Error("expected the tokens of the text");
  return characters.length;
}

/** Checks that offsets cut the documents exactly, by the decoded tokens. */
function requireExact(t: Test, { passages, documents, settings }: ScanResult, texts: readonly string[]): void {
  const encoded = texts.map((text) => tokenizer.encode(text));
  for (const { document, begin = -1, end = -1, tokenBegin, tokenEnd, text, tokenEnds, base, bypasses } of passages) {
    const whole = texts[document] as string;
    const tokens = encoded[document] as number[];
    t.equal(text, whole.slice(begin, end), "the text is a part of the document");
    t.equal(begin, offsetOf(whole, tokens, tokenBegin));
    const after = offsetOf(whole, tokens, tokenEnd);
    const inside = /\ufffd$/.test(tokenizer.decode(tokens.slice(0, tokenEnd)));
    t.equal(end, inside ? after + String.fromCodePoint(whole.codePointAt(after) as number).length : after);
    t.equal(tokenEnds?.length, tokenEnd - tokenBegin);
    t.equal(tokenEnds?.at(-1), end - begin);
    for (const scores of [base, ...bypasses]) {
      t.equal(scores.tokenProbability.length, tokenEnd - tokenBegin);
      for (const part of scores.remaining) {
        t.ok(part.begin !== undefined && part.end !== undefined && begin <= part.begin && part.end <= end);
        t.equal(part.begin, offsetOf(whole, tokens, part.tokenBegin));
      }
    }
  }
  for (const [index, { suffixes, windows, firstWindow }] of documents.entries()) {
    const before = documents.slice(0, index).reduce((sum, document) => sum + document.windows, 0);
    t.equal(firstWindow, before);
    for (const window of [0, Math.floor(windows / 2), windows - 1].filter((one) => one >= 0)) {
      const token = suffixes.token[window] as number;
      t.equal(suffixes.begin?.[window], offsetOf(texts[index] as string, encoded[index] as number[], token));
      if (typeof settings.stride === "number") t.equal(token, settings.prefixLength + window * settings.stride);
    }
  }
}

const plain = ({ cost: _, ...rest }: ScanResult) => JSON.parse(JSON.stringify(rest));

t.test("windows one by one on transformers", { skip: python() === undefined && noPython }, async (t) => {
  const interpreter = python() as string;
  const folder = await temporaryFolder(t);
  const text = [...repeated(128, 1), ...filler, ...repeated(64, 1), ...repeated(0, 1), filler[1]].join("\n");
  const bypasses = [
    { blocks: [6, 7], mode: "zero" },
    { blocks: [1], mode: "short-circuit" },
  ] as const satisfies Bypass[];
  const cases: { name: "gpt-neox" | "gpt-neo"; options: ScanOptions }[] = [
    { name: "gpt-neox", options: { prefixLength: 10, suffixLength: 12, stride: 3 } },
    { name: "gpt-neo", options: { prefixLength: 10, suffixLength: 12, stride: 3, temperature: 0.8, topK: 5 } },
  ];
  for (const { name, options } of cases) {
    const scanned = name === "gpt-neox" ? model : await loadModel(embeddedModel(name), { device: "cpu", threads: 1 });
    const result = await scanned.scan(text, { ...options, bypasses });
    const tokens = tokenizer.encode(text);
    const request = path.join(folder, `${name}.json`);
    const { prefixLength: prefix, suffixLength: suffix, stride, temperature = 1, topK: top_k = 0 } = options;
    const threshold = 0.001;
    await writeFile(
      request,
      JSON.stringify({ tokens, prefix, suffix, stride, bypasses, temperature, top_k, threshold }),
    );
    const theirs = await reference<Theirs[]>(interpreter, "scan.py", [embeddedModel(name), request]);
    compare(t, name, result, theirs, text);
    if (scanned !== model) await scanned.dispose();
  }
});

function compare(t: Test, name: string, result: ScanResult, theirs: readonly Theirs[], text: string): void {
  const [document] = result.documents;
  if (document === undefined) throw new Error("expected a document");
  for (const [plan, expected] of theirs.entries()) {
    const ours = plan === 0 ? document.base : document.bypasses[plan - 1];
    const said = `${name}, plan ${plan}`;
    t.equal(document.windows, expected.probabilities.length, `${said}: windows`);
    t.ok(
      ours?.suffixLogLikelihood.every((value, window) => {
        const theirValue = expected.log_likelihoods[window] as number;
        return Math.abs(value - theirValue) <= 1e-4 * Math.max(0.1, Math.abs(theirValue));
      }),
      `${said}: log-likelihoods`,
    );
    t.same(ours?.neverSampled ?? expected.never_sampled.map(() => 0), expected.never_sampled, `${said}: never sampled`);
    t.same(
      ours?.extractionProbability.map((value) => value >= result.settings.threshold),
      expected.probabilities.map((value) => value >= result.settings.threshold),
      `${said}: the same windows are above the threshold`,
    );
    t.ok(
      ours?.extractionProbability.every((value, window) => {
        const other = expected.probabilities[window] as number;
        return value === other || Math.abs(value / other - 1) < 5e-3;
      }),
      `${said}: probabilities`,
    );
    t.same(ours?.exactMatch, expected.exact_matches, `${said}: exact matches`);
    t.same(ours?.longestRun, expected.longest_runs, `${said}: longest runs`);
    t.same(
      ours?.samplesToExtract,
      ours?.extractionProbability.map((value) => Math.min(Number.MAX_SAFE_INTEGER, samplesToExtract(value, 0.5))),
      `${said}: samples`,
    );
  }
  const [base = [], ...others] = theirs.map(({ spans }) => spans);
  t.same(spansOf(result, 0), base, `${name}: passages`);
  for (const [index, spans] of others.entries()) {
    const added = spans.filter((span) => !base.some((other) => overlap(span, other)));
    t.same(spansOf(result, index + 1), added, `${name}: passages of bypass ${index} only`);
    const remaining = base.map((outer) =>
      spans
        .filter((span) => overlap(span, outer))
        .map(([begin, end]) => [Math.max(begin, outer[0]), Math.min(end, outer[1])]),
    );
    const own = result.passages.filter(({ bypass }) => bypass === undefined);
    const parts = own.map((passage) =>
      passage.bypasses[index]?.remaining.map(({ tokenBegin, tokenEnd }) => [tokenBegin, tokenEnd]),
    );
    t.same(parts, remaining, `${name}: what bypass ${index} leaves`);
    const { all, added: count } = result.summary.bypasses[index] ?? {};
    t.equal(count, added.length);
    t.equal(all?.passages, spans.length);
    t.equal(
      all?.tokens,
      spans.reduce((sum, [begin, end]) => sum + end - begin, 0),
    );
  }
  for (const [index, passage] of result.passages.filter(({ bypass }) => bypass === undefined).entries()) {
    t.ok(
      passage.base.tokenProbability.every((value, token) => {
        const log = theirs[0]?.token_log_probabilities[index]?.[token];
        return log === null ? value === 0 : Math.abs(value - Math.exp(log as number)) < 1e-4;
      }),
      `${name}: tokens of passage ${index}`,
    );
  }
  requireExact(t, result, [text]);
}

t.test("secrets are found, and their controls are not", async (t) => {
  const planted = repeated(128, 3);
  const control = repeated(0, 3);
  const lines = [...planted, ...control].flatMap((secret, index) => [filler[index % filler.length] as string, secret]);
  const text = lines.join("\n");
  const result = await model.scan(
    { name: "notes", text },
    { prefixLength: 8, suffixLength: 16, stride: 2, threshold: 0.1, bypasses: [{ blocks: { quartile: 1 } }] },
  );
  requireExact(t, result, [text]);
  const covered = (secret: string): number => {
    const at = text.indexOf(secret);
    return result.passages
      .filter(({ bypass }) => bypass === undefined)
      .reduce((sum, { begin = 0, end = 0 }) => {
        return sum + Math.max(0, Math.min(end, at + secret.length) - Math.max(begin, at));
      }, 0);
  };
  for (const secret of planted) t.ok(covered(secret) > secret.length / 2, `found: ${secret}`);
  for (const secret of control) t.equal(covered(secret), 0, `not found: ${secret}`);
  t.equal(result.documents[0]?.name, "notes");
  const { base, bypasses } = result.summary;
  t.ok(base.passages >= planted.length && base.characters > 0);
  t.equal(bypasses[0]?.remaining.passages, 0, "attention in the first quarter is needed for all of them");
  t.match(result.bypasses, [{ name: "quartile 1", part: "attention", blocks: [0, 1], mode: "zero" }]);
});

t.test("files, rows and folders", async (t) => {
  const folder = await temporaryFolder(t);
  const write = async (name: string, content: string | Uint8Array) => {
    const file = path.join(folder, name);
    await writeFile(file, content);
    return file;
  };
  const [secret = ""] = repeated(128, 1);
  const text = `${filler.join("")}${secret}\r\n${filler.join("")}`;
  const options = { prefixLength: 8, suffixLength: 16, stride: 4 };
  const expected = await model.scan(text, options);
  const scores = ({ documents }: ScanResult) => documents.map(({ base, windows }) => ({ base, windows }));
  t.ok(expected.passages.length > 0);

  const marked = await write("marked.txt", `\ufeff${text}`);
  const withMark = await model.scan({ file: marked }, options);
  t.same(scores(withMark), scores(expected), "a byte order mark is not encoded");
  const read = await readFile(marked, "utf8");
  for (const { begin, end, text: passage } of withMark.passages) t.equal(read.slice(begin, end), passage);
  t.equal(withMark.documents[0]?.characters, read.length);
  t.equal(withMark.documents[0]?.name, marked);

  const zipped = await write("text.txt.gz", gzipSync(text));
  t.same(scores(await model.scan({ file: zipped }, options)), scores(expected), "compressed");
  const rows = [{ text }, { text: "too short", other: 1 }, { text: tokenizer.encode(text) }];
  const lines = await write("rows.jsonl", rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const ofRows = await model.scan({ file: lines }, options);
  t.same(scores(ofRows)[0], scores(expected)[0]);
  t.same(scores(ofRows)[2], scores(expected)[0], "token ids");
  t.equal(ofRows.documents[1]?.windows, 0, "a document that is shorter than a window");
  t.equal(ofRows.summary.shortDocuments, 1);
  t.match(ofRows.documents[1]?.name, /^line 2 of .*rows\.jsonl$/);
  const [ofText, ofIds] = [0, 2].map((index) => ofRows.passages.filter(({ document }) => document === index));
  t.same(
    ofIds?.map(({ text: decoded, begin }) => ({ decoded, begin })),
    ofText?.map(({ text: decoded }) => ({ decoded, begin: undefined })),
    "the text of token ids is decoded, and has no offsets",
  );
  const ofFolder = await model.scan([{ file: folder }, { name: "last", text }], options);
  t.same(
    ofFolder.documents.map(({ name }) => name.replace(`${folder}/`, "")),
    ["marked.txt", "line 1 of rows.jsonl", "line 2 of rows.jsonl", "line 3 of rows.jsonl", "text.txt.gz", "last"],
  );
  requireExact(t, await model.scan([text, `x${text}`], { ...options, stride: { characters: 9 } }), [text, `x${text}`]);
});

t.test("windows from each n-th character on", async (t) => {
  const text = `${filler.join("")}${repeated(128, 1).join("\n")}`;
  const tokens = tokenizer.encode(text);
  for (const characters of [1, 10, 1000]) {
    const { documents } = await model.scan(text, { prefixLength: 5, suffixLength: 5, stride: { characters } });
    const begins = tokens.map((_, token) => offsetOf(text, tokens, token));
    const wanted = new Set<number>();
    for (let offset = 0; offset < text.length; offset += characters) {
      wanted.add(begins.findIndex((begin) => begin >= offset));
    }
    const expected = [...wanted].filter((token) => token >= 0 && token + 10 <= tokens.length);
    t.same(
      documents[0]?.suffixes.token.map((token) => token - 5),
      expected,
      `each ${characters} characters`,
    );
  }
});

t.test("probabilities of exactly 0 and 1", async (t) => {
  const text = [...repeated(128, 1), ...repeated(0, 1)].join("\n");
  const result = await model.scan(text, {
    prefixLength: 8,
    suffixLength: 8,
    stride: 1,
    topK: 1,
    bypasses: [{ blocks: { from: 0 }, part: "both" }],
    threshold: 1,
  });
  const { base } = result.documents[0] ?? {};
  t.same([...new Set(base?.extractionProbability)].sort(), [0, 1]);
  t.same(base?.exactMatch, base?.extractionProbability, "with topK 1, sampling is greedy decoding");
  t.same(
    base?.samplesToExtract,
    base?.extractionProbability.map((value) => (value === 1 ? 1 : Number.MAX_SAFE_INTEGER)),
  );
  t.ok(base?.suffixLogLikelihood.every((value) => value === 0));
  t.ok(result.passages.length > 0);
  t.ok(result.passages[0]?.bypasses[0]?.tokenProbability.some((value) => value === 0));
  t.notMatch(JSON.stringify(result), /null/);
  t.same(JSON.parse(JSON.stringify(result)), JSON.parse(JSON.stringify({ ...result })));
});

t.test("resumed scans, progress and aborts", async (t) => {
  const folder = await temporaryFolder(t);
  const resume = path.join(folder, "scan.part");
  const texts = [...repeated(128, 4), "short", ...repeated(0, 2)].map((text) => `${filler.join("")}${text}`);
  const options: ScanOptions = { prefixLength: 8, suffixLength: 8, stride: 1, bypasses: [{ blocks: [7] }] };
  const fractions: number[] = [];
  const whole = await model.scan(texts, { ...options, resume, onProgress: (fraction) => fractions.push(fraction) });
  t.same(
    fractions,
    [...fractions].sort((one, other) => one - other),
  );
  t.equal(fractions.at(-1), 1);
  const lines = (await readFile(resume, "utf8")).trim().split("\n");
  t.ok(lines.length >= 4, `${lines.length - 1} batches`);

  const cut = path.join(folder, "cut.part");
  for (const kept of [1, 2, lines.length]) {
    await writeFile(cut, `${lines.slice(0, kept).join("\n")}\n{"wind`);
    const again = await model.scan(texts, { ...options, resume: cut });
    t.same(plain(again), plain(whole), `resumed after ${kept - 1} batches`);
    t.equal(again.cost.operations, whole.cost.operations, "nothing was done twice");
  }

  const controller = new AbortController();
  const reason = new Error("enough");
  const aborted = model.scan(texts, {
    ...options,
    resume: path.join(folder, "aborted.part"),
    signal: controller.signal,
    onProgress: (fraction) => fraction > 0.5 && controller.abort(reason),
  });
  await t.rejects(aborted, reason);
  t.same(plain(await model.scan(texts, { ...options, resume: path.join(folder, "aborted.part") })), plain(whole));

  for (const [name, changed, other] of [
    ["documents", { ...options }, texts.slice(1)],
    ["threshold", { ...options, threshold: 0.5 }, texts],
    ["stride", { ...options, stride: 2 }, texts],
    ["bypasses", { ...options, bypasses: [{ blocks: [6] }] }, texts],
  ] as const) {
    const message = new RegExp(`of a scan with the same settings but these differ: ${name}$`);
    await t.rejects(model.scan(other, { ...changed, resume }), { code: "RESUME_FILE_MISMATCH", message });
  }
  const spoiled: Record<string, string[]> = {
    "another format": [lines[0]?.replace("scan, 1", "scan, 9") as string],
    "too few scores": [lines[0] as string, lines[1]?.replace(/"scores":"[^"]{16}/, '"scores":"') as string],
    "too few tokens": [lines[0] as string, lines[1]?.replace(/"tokens":"[^"]{16}/, '"tokens":"') as string],
    "another number of windows": [lines[0] as string, lines.at(-1) as string],
  };
  for (const [name, content] of Object.entries(spoiled)) {
    await writeFile(cut, `${content.join("\n")}\n`);
    await t.rejects(model.scan(texts, { ...options, resume: cut }), { code: "RESUME_FILE_INVALID" }, name);
  }
});

t.test("what cannot be scanned", async (t) => {
  const folder = await temporaryFolder(t);
  const write = async (name: string, content: string | Uint8Array) => {
    const file = path.join(folder, name);
    await writeFile(file, content);
    return { file };
  };
  const text = filler.join("");
  const refuse = (documents: unknown, code: string, message: RegExp, options: object = {}) =>
    t.rejects(model.scan(documents as string, { prefixLength: 5, suffixLength: 5, ...options }), { code, message });
  await refuse("too short", "INVALID_ARGUMENT", /at least 10 tokens.* longest of 1 has \d;/);
  await refuse([], "INVALID_ARGUMENT", /at least one document for documents/);
  await refuse([text, 5], "INVALID_ARGUMENT", /for documents\[1\] but received 5/);
  await refuse([text, { text }], "INVALID_ARGUMENT", /documents\[1\]\.name/);
  await refuse({ file: 5 }, "INVALID_ARGUMENT", /documents\.file/);
  await refuse({ file: "x", text }, "INVALID_ARGUMENT", /documents\.text/);
  await refuse([[1, 2, 99_999]], "TOKEN_OUT_OF_RANGE", /documents\[0\] but received 99999/);
  await refuse({ file: path.join(folder, "nowhere") }, "FILE_NOT_FOUND", /nowhere/);
  await refuse({ file: folder }, "SAMPLES_INVALID", /the folder has no \.txt/);
  await refuse(`${embeddedModel("gpt-neox")}/config.json`, "INVALID_ARGUMENT", /\{ file \}/);
  await refuse(await write("a.jsonl", '{"text":"a"}\n{"other":1}\n'), "SAMPLES_INVALID", /line 2 of/);
  await refuse(await write("b.jsonl", "[\n"), "SAMPLES_INVALID", /line 1 is not JSON/);
  await refuse(
    await write("c.txt", Buffer.from(`${"é".repeat(200_000)}\xff`, "latin1")),
    "SAMPLES_INVALID",
    /UTF-8 at byte 0/,
  );
  const late = Buffer.concat([Buffer.from("é".repeat(200_000)), Buffer.from([0xff])]);
  await refuse(await write("d.txt", late), "SAMPLES_INVALID", /UTF-8 at byte 400000/);
  await refuse(await write("e.gz", gzipSync(text).subarray(0, 60)), "SAMPLES_INVALID", /decompressed/);
  await refuse(await write("f.npy", Buffer.from("\x93NUMPY", "latin1")), "SAMPLES_INVALID", /./);
  await refuse(text, "INVALID_ARGUMENT", /options\.stride but received 0/, { stride: 0 });
  await refuse(text, "INVALID_ARGUMENT", /options\.stride/, { stride: { characters: 0.5 } });
  await refuse([[1, 2]], "INVALID_ARGUMENT", /options\.stride/, { stride: { characters: 5 } });
  await refuse(text, "INVALID_ARGUMENT", /options\.threshold/, { threshold: 0 });
  await refuse(text, "CONTEXT_TOO_LONG", /prefixLength and suffixLength together/, { prefixLength: 9999 });
  await refuse(text, "BLOCK_OUT_OF_RANGE", /options\.bypasses\[1\]/, { bypasses: [{ blocks: [1] }, { blocks: [99] }] });
  const bare = await loadModel(path.join(root, "test", "fixtures", "models", "neox-serial"), {
    device: "cpu",
    threads: 1,
  });
  await t.rejects(bare.scan("text", { prefixLength: 5, suffixLength: 5 }), { code: "TOKENIZER_MISSING" });
  const ids = Array.from({ length: 30 }, (_, index) => index);
  const { passages, documents } = await bare.scan(ids, { prefixLength: 5, suffixLength: 5, threshold: 1e-300 });
  t.equal(documents[0]?.windows, 3);
  t.notOk(passages.some((passage) => "text" in passage || "begin" in passage));
  await bare.dispose();

  const changing = path.join(folder, "changing.txt");
  await writeFile(changing, text);
  const change = () => writeFile(changing, `${text}.`);
  const scan = model.scan([{ name: "first", text: text.repeat(5) }, { file: changing }], {
    prefixLength: 5,
    suffixLength: 5,
    stride: 1,
    onProgress: () => void change(),
  });
  await t.rejects(scan, { code: "SAMPLES_INVALID", message: /changing\.txt has changed/ });
});
