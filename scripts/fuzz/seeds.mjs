// The valid files that are mutated: the repository's fixtures, and small ones created here.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { dump } from "npyjs";
import { writeRandomCheckpoint } from "../../bench/random-checkpoint.mjs";
import { writeZip } from "./zip.mjs";

const root = path.join(import.meta.dirname, "..", "..");
export const fixtures = path.join(root, "test", "fixtures", "models");
const parquet = path.join(root, "test", "fixtures", "parquet");

/** GPT-2's character for each byte: printable ones are unchanged, the others are mapped to U+0100 and following. */
function byteCharacters() {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
}

const vocabulary = Object.fromEntries([["<|endoftext|>", 0], ...byteCharacters().map((one, byte) => [one, byte + 1])]);
const merges = ["t h", "th e", "a n", "Ġ t"];
const merged = {
  ...vocabulary,
  ...Object.fromEntries(merges.map((merge, index) => [merge.replace(" ", ""), 257 + index])),
};
const special = {
  id: 0,
  content: "<|endoftext|>",
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
};
const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const bpe = { type: "BPE", vocab: merged, merges, unk_token: null, fuse_unk: false, byte_fallback: false };

const tokenizers = [
  {
    version: "1.0",
    added_tokens: [special],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: bpe,
  },
  {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special, { ...special, id: 261, content: "  ", special: false, normalized: true, lstrip: true }],
    normalizer: {
      type: "Sequence",
      normalizers: [{ type: "NFC" }, { type: "Replace", pattern: { Regex: " {3,}" }, content: "  " }],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: "\\p{L}+|\\s+(?!\\S)|\\S" }, behavior: "Isolated", invert: false },
        { ...byteLevel, use_regex: false },
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: {},
    },
    decoder: byteLevel,
    model: { ...bpe, merges: merges.map((merge) => merge.split(" ")) },
  },
];

const json = (content) => Buffer.from(JSON.stringify(content));
const lines = (rows) => Buffer.from(`${rows.map((row) => JSON.stringify(row)).join("\n")}\n`);

/** Config and tokenizer of the model that scores data. */
export const base = { blocks: 2, width: 16, heads: 2, vocabulary: 264, contextLength: 64 };

/** Writes the model that scores data. */
export function writeBase(folder) {
  mkdirSync(folder, { recursive: true });
  writeRandomCheckpoint(folder, base, 4);
  writeFileSync(path.join(folder, "tokenizer.json"), json(tokenizers[0]));
}

const npy = (values, shape) => Buffer.from(dump(values, shape));

const texts = ["the man and the sea", "a thought of the other", "2 + 2 = 4, they said\n"];
const ids = Array.from({ length: 4 }, (_, row) =>
  Array.from({ length: 12 }, (_, index) => (7 * row + 3 * index) % 250),
);
const flat = ids.flat();

/** Sample files by name. */
export const samples = {
  "rows.npy": npy(Int32Array.from(flat), [4, 12]),
  "wide.npy": npy(BigInt64Array.from(flat, BigInt), [4, 12]),
  "rows.npz": writeZip([{ name: "arr_0.npy", data: npy(Int32Array.from(flat), [4, 12]) }]),
  "text.jsonl": lines(texts.map((text) => ({ text, meta: { id: 1 } }))),
  "pairs.jsonl": lines(texts.map((text) => ({ prefix: text.slice(0, 8), suffix: text.slice(8) }))),
  "tokens.jsonl": lines(ids.map((tokens, row) => (row % 2 === 0 ? { tokens } : { input_ids: tokens }))),
  "arrays.jsonl": lines(ids),
  "text.jsonl.gz": gzipSync(lines(texts.map((text) => ({ text })))),
  "piqa.parquet": readFileSync(path.join(parquet, "piqa.parquet")),
};

const question = { question: "the sea?", choices: { text: ["a man", "the"], label: ["A", "B"] }, answerKey: "B" };
const definition = {
  name: "sea",
  description: "questions",
  group: "reasoning",
  rows: ["rows.jsonl", "rows.parquet"],
  forms: [
    {
      needs: ["question"],
      context: "Question: {{ question | trim }}{% for one in choices.text %} {{ one }}{% endfor %}\nAnswer:",
      choices: "choices.text",
      gold: "{{ answerKey }}",
      labels: "choices.label",
      replace: [
        ["\\s+", " "],
        [" the | a ", " "],
      ],
    },
  ],
};

/** Files of tasks: the name or definition of the task, and the contents of the folder of its rows. */
export const tasks = [
  { task: "task.json", files: { "task.json": json(definition), "rows.jsonl": lines([question, question]) } },
  { task: "piqa", files: { "rows.jsonl": lines([{ goal: "To sit", sol1: "Stand", sol2: "Sit down", label: 1 }]) } },
  ...["piqa", "hellaswag"].map((task) => ({
    task,
    files: { "rows.parquet": readFileSync(path.join(parquet, `${task}.parquet`)) },
  })),
];

/** All files in a folder that are read with a model. */
export function filesOf(folder) {
  const names = readdirSync(folder).filter(
    (name) => /\.(json|safetensors|bin|pt|txt)$/.test(name) && name !== "expected.json",
  );
  return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(folder, name))]));
}

/** Files of tokenizers that a folder may have. */
export const tokenizerFiles = [
  { "tokenizer.json": json(tokenizers[0]) },
  {
    "tokenizer.json": json(tokenizers[1]),
    "tokenizer_config.json": json({ add_prefix_space: true, added_tokens_decoder: { 0: special } }),
  },
  {
    "vocab.json": json(merged),
    "merges.txt": Buffer.from(`#version: 0.2\n${merges.join("\n")}\n`),
    "added_tokens.json": json({ "<pad>": 261 }),
    "tokenizer_config.json": json({ add_prefix_space: false, eos_token: "<|endoftext|>" }),
    "special_tokens_map.json": json({ eos_token: "<|endoftext|>" }),
  },
];

export const generationConfig = json({
  eos_token_id: [0, 3],
  do_sample: true,
  temperature: 0.7,
  top_k: 5,
  max_new_tokens: 4,
});
