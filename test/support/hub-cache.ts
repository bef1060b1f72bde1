// Models for the local hub, and what is in a Hugging Face cache.
import { createHash, randomBytes } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Test } from "tap";
import { temporaryFolder } from "./fixtures.ts";
import { type Hub, type HubOptions, startHub } from "./hub-server.ts";

export const sha256 = (content: Buffer | string) => createHash("sha256").update(content).digest("hex");

const gitHash = (content: Buffer) =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");

/** The id of the model that most tests download. */
export const id = "org/name";

/** Writes files to a folder of its own. */
export async function writeFiles(t: Test, files: Record<string, string | Buffer>): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  return folder;
}

/** A checkpoint as it is on the hub, with files that no download needs. Its weights are random bytes. */
export const checkpoint = (bytes = 300_000) => ({
  ".gitattributes": "*.safetensors filter=lfs\n",
  "README.md": "# A model\n",
  "config.json": '{ "model_type": "gpt_neox" }',
  "generation_config.json": "{}",
  "tokenizer.json": '{ "version": "1.0" }',
  "tokenizer_config.json": "{}",
  "special_tokens_map.json": "{}",
  "model.safetensors": randomBytes(bytes),
  "pytorch_model.bin": randomBytes(1000),
  "flax_model.msgpack": randomBytes(1000),
  "onnx/model.safetensors": randomBytes(1000),
});

/** The files of `checkpoint` that a download fetches. */
export const fetched = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

/** A hub that ends with the test. */
export async function hubFor(t: Test, options: HubOptions): Promise<Hub> {
  const hub = await startHub(options);
  t.teardown(() => hub.close());
  return hub;
}

/** All files below a folder, by path: the target of a link, and the length of others. */
export function contents(folder: string): Record<string, string | number> {
  if (!existsSync(folder)) return {};
  const names = (readdirSync(folder, { recursive: true }) as string[]).sort();
  const found: Record<string, string | number> = {};
  for (const name of names) {
    // A running download may have renamed it.
    const entry = lstatSync(path.join(folder, name), { throwIfNoEntry: false });
    if (entry === undefined) continue;
    if (entry.isSymbolicLink()) found[name] = readlinkSync(path.join(folder, name));
    else if (entry.isFile()) found[name] = entry.size;
  }
  return found;
}

/**
 * Checks what holds at any moment: each blob has the hash of its name, each file of a snapshot is there, and each ref names
 * a snapshot with all files of `names`.
 */
export function checkCache(t: Test, cache: string, names: readonly string[] = fetched): void {
  const model = path.join(cache, `models--${id.replace("/", "--")}`);
  const below = (name: string) => (existsSync(path.join(model, name)) ? readdirSync(path.join(model, name)) : []);
  for (const blob of below("blobs").filter((name) => /^[0-9a-f]+$/.test(name))) {
    const content = readFileSync(path.join(model, "blobs", blob));
    t.equal(blob.length === 64 ? sha256(content) : gitHash(content), blob, "the hash of a blob");
  }
  for (const commit of below("snapshots")) {
    for (const name of readdirSync(path.join(model, "snapshots", commit))) {
      t.ok(existsSync(path.join(model, "snapshots", commit, name)), `${name} is there`);
    }
  }
  for (const ref of below("refs")) {
    const commit = readFileSync(path.join(model, "refs", ref), "utf8");
    t.same(readdirSync(path.join(model, "snapshots", commit)).sort(), names, `${ref} is complete`);
  }
}
