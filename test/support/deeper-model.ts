import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { embeddedModel } from "attention-bypass";
import { type HeaderRow, safetensors } from "./spoil.ts";

/**
 * Writes the embedded GPT-NeoX model with more blocks, whose weights are zeros: they add nothing to the residual stream,
 * so that it says what the embedded one says.
 */
export function writeDeeperModel(folder: string, blocks: number): void {
  const from = embeddedModel("gpt-neox");
  const bytes = readFileSync(path.join(from, "model.safetensors"));
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, end).toString("utf8")) as Record<string, HeaderRow>;
  const config = JSON.parse(readFileSync(path.join(from, "config.json"), "utf8"));
  const first = Object.entries(header).filter(([name]) => name.includes(".layers.0."));
  const before = bytes.length - end;
  let size = before;
  for (let block = config.num_hidden_layers; block < blocks; block++) {
    for (const [name, { dtype, shape, data_offsets: offsets }] of first) {
      const length = offsets[1] - offsets[0];
      header[name.replace(".0.", `.${block}.`)] = { dtype, shape, data_offsets: [size, size + length] };
      size += length;
    }
  }
  const data = Buffer.concat([bytes.subarray(end), Buffer.alloc(size - before)]);
  writeFileSync(path.join(folder, "model.safetensors"), safetensors(JSON.stringify(header), data));
  writeFileSync(path.join(folder, "config.json"), JSON.stringify({ ...config, num_hidden_layers: blocks }));
  copyFileSync(path.join(from, "tokenizer.json"), path.join(folder, "tokenizer.json"));
}
