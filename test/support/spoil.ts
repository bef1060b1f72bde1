import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { type ErrorCode, loadModel } from "attention-bypass";
import t, { type Test } from "tap";
import { copyOf, editConfig, fixture } from "./fixtures.ts";
import { refuses } from "./refusals.ts";

export type Config = Record<string, unknown>;

/** Asserts that a place is refused, and that a good one still loads and runs. */
export async function refusesToLoad(t: Test, place: string, code: ErrorCode, ...said: string[]): Promise<void> {
  await refuses(t, "loadModel", () => loadModel(place, { device: "cpu", trust: true }), code, ...said);
  const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
  t.equal((await model.generate([1, 2, 3], { maxNewTokens: 2, stopAtEndOfText: false })).tokens.length, 2);
  await model.dispose();
}

/** A test of a copy of a committed model that was spoiled. */
export function spoiled(
  title: string,
  name: string,
  spoil: (folder: string) => Promise<unknown>,
  code: ErrorCode,
  ...said: string[]
): void {
  t.test(title, async (t) => {
    const folder = await copyOf(name, t);
    await spoil(folder);
    await refusesToLoad(t, folder, code, ...said);
  });
}

/** What a test does to a copy before it is loaded. */
export const withConfig = (change: (config: Config) => void) => (folder: string) => editConfig(folder, change);
export const withFile = (name: string, content: string | Uint8Array) => (folder: string) =>
  writeFile(path.join(folder, name), content);
export const without = (name: string) => (folder: string) => rm(path.join(folder, name));

/** Cuts a file off; a negative size counts from its end. */
export const cut = (name: string, size: number) => async (folder: string) => {
  const file = path.join(folder, name);
  await truncate(file, size < 0 ? (await readFile(file)).length + size : size);
};

export interface HeaderRow {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

export function safetensors(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), data]);
}

/** Rewrites the header of model.safetensors. */
export const withHeader = (change: (header: Record<string, HeaderRow>) => void) => async (folder: string) => {
  const file = path.join(folder, "model.safetensors");
  const bytes = await readFile(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, end).toString("utf8"));
  change(header);
  await writeFile(file, safetensors(JSON.stringify(header), bytes.subarray(end)));
};
