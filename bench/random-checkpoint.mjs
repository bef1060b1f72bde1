// A GPT-NeoX checkpoint of random weights, and random rows, without Python.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";

export const pythia160m = { blocks: 12, width: 768, heads: 12, vocabulary: 50304, contextLength: 2048 };

/** Numbers from -1 to 1, the same on every machine (xorshift). */
function randomNumbers() {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 2 ** 31;
  };
}

/**
 * The names and shapes of a GPT-NeoX model's tensors.
 * @returns {[name: string, shape: number[]][]}
 */
export function tensorsOf({ blocks, width, vocabulary }) {
  const tensors = [["gpt_neox.embed_in.weight", [vocabulary, width]]];
  const add = (name, ...shape) => tensors.push([`${name}.weight`, shape], [`${name}.bias`, shape.slice(0, 1)]);
  for (let index = 0; index < blocks; index++) {
    const block = `gpt_neox.layers.${index}`;
    add(`${block}.input_layernorm`, width);
    add(`${block}.post_attention_layernorm`, width);
    add(`${block}.attention.query_key_value`, 3 * width, width);
    add(`${block}.attention.dense`, width, width);
    add(`${block}.mlp.dense_h_to_4h`, 4 * width, width);
    add(`${block}.mlp.dense_4h_to_h`, width, 4 * width);
  }
  add("gpt_neox.final_layer_norm", width);
  return [...tensors, ["embed_out.weight", [vocabulary, width]]];
}

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** The bytes of numbers in a dtype. bfloat16 is the upper half of float32. */
function bytesOf(numbers, dtype) {
  if (dtype === "float32") return Buffer.from(numbers.buffer);
  return Buffer.from(Uint16Array.from(new Uint32Array(numbers.buffer), (bits) => bits >>> 16).buffer);
}

function writeWeights(file, shape, next, dtype) {
  const size = dtype === "float32" ? 4 : 2;
  const tensors = tensorsOf(shape);
  const header = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const [name, shape] of tensors) {
    const begin = end;
    end += size * sizeOf(shape);
    header[name] = { dtype: dtype === "float32" ? "F32" : "BF16", shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(8 * Math.ceil(text.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const opened = openSync(file, "w");
  try {
    for (const part of [length, padded]) writeSync(opened, part);
    for (const [name, shape] of tensors) {
      // Of the norms alone.
      const value = /norm\.weight$/.test(name) ? () => 1 : () => 0.035 * next();
      const bytes = bytesOf(Float32Array.from({ length: sizeOf(shape) }, value), dtype);
      for (let at = 0; at < bytes.length; ) at += writeSync(opened, bytes, at);
    }
  } finally {
    closeSync(opened);
  }
}

function writeRows(file, rows, length, vocabulary, next) {
  const ids = Int32Array.from({ length: rows * length }, () => Math.floor(((next() + 1) / 2) * vocabulary));
  // numpy's format, version 1.0, whose header ends at a multiple of 64 bytes; written here for the check on a GPU, which
  // has to run where no development dependency is installed.
  const header = `{'descr': '<i4', 'fortran_order': False, 'shape': (${rows}, ${length}), }`.padEnd(128 - 11);
  const begin = Buffer.concat([Buffer.from("\x93NUMPY\x01\0", "latin1"), Buffer.from([header.length + 1, 0])]);
  writeFileSync(file, Buffer.concat([begin, Buffer.from(`${header}\n`), Buffer.from(ids.buffer)]));
}

/** Writes config.json, model.safetensors ("float32" or "bfloat16") and samples.npy, rows of 64 tokens. */
export function writeRandomCheckpoint(folder, shape, rows, dtype = "float32") {
  const { blocks, width, heads, vocabulary, contextLength } = shape;
  const next = randomNumbers();
  mkdirSync(folder, { recursive: true });
  writeWeights(path.join(folder, "model.safetensors"), shape, next, dtype);
  writeRows(path.join(folder, "samples.npy"), rows, 64, vocabulary, next);
  const config = {
    architectures: ["GPTNeoXForCausalLM"],
    model_type: "gpt_neox",
    num_hidden_layers: blocks,
    hidden_size: width,
    intermediate_size: 4 * width,
    num_attention_heads: heads,
    vocab_size: vocabulary,
    max_position_embeddings: contextLength,
    rotary_pct: 0.25,
    tie_word_embeddings: false,
  };
  writeFileSync(path.join(folder, "config.json"), JSON.stringify(config));
}
