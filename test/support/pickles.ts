import { writeFile } from "node:fs/promises";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import yazl from "yazl";

/** Parts of pickles, as bytes. */
export const bytes = (...codes: number[]) => Buffer.from(codes);
export const join = (...parts: (Buffer | string)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

export const text = (value: string) => join("X", uint32(Buffer.byteLength(value)), Buffer.from(value));
export const integer = (value: number) => join(bytes(0x8a, 8), uint64(value));
export const global = (module: string, name: string) => `c${module}\n${name}\n`;
export const tuple = (...items: (Buffer | string)[]) => join("(", ...items, "t");
export const call = (module: string, name: string, ...args: (Buffer | string)[]) =>
  join(global(module, name), tuple(...args), "R");
export const dictionary = (...items: (Buffer | string)[]) => join("}(", ...items, "u");
export const remember = (key: number) => join("r", uint32(key));
export const recall = (key: number) => join("j", uint32(key));

export interface Layout {
  shape?: readonly number[];
  strides?: readonly number[];
  offset?: number;
  /** Elements of float32. */
  size?: number;
  key?: string;
}

/** A tensor over the record data/0. */
export function tensor({ shape = [2, 3], strides = [3, 1], offset = 0, size = 6, key = "0" }: Layout = {}): Buffer {
  const id = tuple(text("storage"), global("torch", "FloatStorage"), text(key), text("cpu"), integer(size));
  const numbers = (values: readonly number[]) => tuple(...values.map(integer));
  const parts = [join(id, "Q"), integer(offset), numbers(shape), numbers(strides), bytes(0x89), "}"];
  return call("torch._utils", "_rebuild_tensor_v2", ...parts);
}

/** The name that tells a GPT-NeoX model. */
export const embedding = text("gpt_neox.embed_in.weight");

/** A whole pickle. */
export const pickle = (...parts: (Buffer | string)[]) => join(bytes(0x80, 2), ...parts, ".");

export interface Record {
  name: string;
  content: Buffer;
  options?: object;
}

/** An archive as torch.save writes it, stored; options are yazl's. */
export async function archive(records: readonly Record[], end?: yazl.EndOptions): Promise<Buffer> {
  const zip = new yazl.ZipFile();
  for (const { name, content, options } of records) zip.addBuffer(content, name, { compress: false, ...options });
  zip.end(end);
  return buffer(zip.outputStream as NodeJS.ReadableStream);
}

export const records = (content: Buffer): Record[] => [
  { name: "archive/data.pkl", content },
  { name: "archive/data/0", content: Buffer.alloc(24) },
];

/** Writes a checkpoint of one pickle over a record of six float32; the config is that of any GPT-NeoX model. */
export async function writePickled(folder: string, content: Buffer): Promise<void> {
  await writeFile(path.join(folder, "pytorch_model.bin"), await archive(records(content)));
}
