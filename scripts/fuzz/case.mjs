// One case of a run: which files of a seed change, and how, from its own random numbers.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { deflateRawSync } from "node:zlib";
import { mutate } from "./formats.mjs";
import { mutateBytes } from "./mutate/bytes.mjs";
import { randomOf } from "./random.mjs";

/** Other content that a file may have. */
const disguises = [
  () => Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"),
  () => Buffer.from("<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"),
  () => Buffer.alloc(0),
  () => Buffer.from("PK\x03\x04 and so on"),
  () => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2, 3]),
  () => Buffer.from("PAR1 and so on PAR1"),
  (random, others) => random.pick(Object.values(others)),
  (random) => random.bytes(random.small(10_000)),
  () => deflateRawSync(Buffer.alloc(2 ** 24)),
  (random) => Buffer.alloc(random.pick([10, 100_000])),
  (random) => Buffer.from(`\x93NUMPY${random.bytes(random.small(100)).toString("latin1")}`, "latin1"),
];

/** Entries that are not regular files: [kind, how to create it]. */
const places = [
  ["a folder", (file) => mkdirSync(file)],
  ["a link to itself", (file) => symlinkSync(file, file)],
  ["/dev/null", (file) => symlinkSync("/dev/null", file)],
  ["/dev/zero", (file) => symlinkSync("/dev/zero", file)],
  ["a FIFO", (file) => execFileSync("mkfifo", [file])],
];

/** The files of a case, or how to create those that are not regular files. */
export function makeCase(seeds, format, seed, index) {
  const random = randomOf(seed, format, index);
  const { files, changing, use, disguised = false } = random.pick(seeds);
  const content = { ...files };
  const special = {};
  for (let count = random.chance(0.85) ? 1 : 2; count > 0; count--) {
    const name = random.pick(changing);
    if (disguised) {
      content[name] = random.pick(disguises)(random, files);
      if (random.chance(0.3)) content[name] = mutateBytes(content[name], random);
    } else content[name] = mutate(name, content[name], random);
    if (random.chance(disguised ? 0.2 : 0.005)) special[name] = random.pick(places);
  }
  return { format, seed, index, use: { ...use, choice: random.below(2 ** 16) }, content, special };
}

export function writeCase({ content, special }, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(content)) {
    const file = path.join(folder, name);
    if (special[name]) special[name][1](file);
    else writeFileSync(file, bytes);
  }
}
