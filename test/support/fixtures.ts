import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { BypassMode } from "attention-bypass";

const models = path.join(import.meta.dirname, "..", "fixtures", "models");

/** What Hugging Face computes on a checkpoint; see test/fixtures/generate.py. */
export interface Expected {
  input_ids: number[][];
  cases: ExpectedCase[];
}

export interface ExpectedCase {
  tag: string;
  blocks: number[];
  mode: BypassMode;
  logits: string;
  logits_shape: [number, number, number];
  greedy_prompt_length: number;
  greedy: number[][];
  perplexity: number[];
  top1_gap: number;
}

/** The folder of a committed model. */
export const fixture = (name: string): string => path.join(models, name);

export const fixtureNames = (): string[] => readdirSync(models).sort();

export function readExpected(folder: string): Expected {
  return JSON.parse(readFileSync(path.join(folder, "expected.json"), "utf8"));
}

export function readFloats(file: string): Float32Array {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** A folder that is gone after the test. */
export async function temporaryFolder(t: { after(done: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "attention-bypass-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of a committed model that a test may spoil. */
export async function copyOf(name: string, t: { after(done: () => Promise<void>): void }): Promise<string> {
  const folder = await temporaryFolder(t);
  await cp(fixture(name), folder, { recursive: true });
  return folder;
}

/** Rewrites the config of a copy. */
export async function editConfig(folder: string, change: (config: Record<string, unknown>) => void): Promise<void> {
  const file = path.join(folder, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  change(config);
  await writeFile(file, JSON.stringify(config));
}
