// Files of weights that are missing, cut off or something else are refused by name, and nothing happens to them.
import { readFile, rename, truncate } from "node:fs/promises";
import path from "node:path";
import { convert } from "attention-bypass";
import t from "tap";
import { copyOf, editConfig, fixture, temporaryFolder } from "./support/fixtures.ts";
import { refuses } from "./support/refusals.ts";
import { cut, refusesToLoad, safetensors, spoiled, withFile, without } from "./support/spoil.ts";

t.setTimeout(300_000);

const embedding = "gpt_neox.embed_in.weight";

spoiled(
  "no weights at all",
  "neox-serial",
  without("model.safetensors"),
  "WEIGHTS_MISSING",
  "model.safetensors",
  "model.pt",
);
for (const [name, shard] of [
  ["neox-sharded", "model-00002-of-00003.safetensors"],
  ["neox-sharded-bin", "pytorch_model-00002-of-00002.bin"],
] as const) {
  spoiled(`${name} without a shard`, name, without(shard), "WEIGHTS_MISSING", shard, "index.json");
}
const index = "model.safetensors.index.json";
spoiled("an index that is not JSON", "neox-sharded", withFile(index, "{"), "WEIGHTS_INVALID", index, "JSON");
spoiled(
  "an index of several lines that is not JSON",
  "neox-sharded",
  withFile(index, "{\n x\n}"),
  "WEIGHTS_INVALID",
  index,
);
spoiled("an index without a map", "neox-sharded", withFile(index, "{}"), "WEIGHTS_INVALID", index, "weight_map");

for (const [title, size] of [
  ["no byte long", 0],
  ["that ends in the header's length", 5],
  ["that ends in the header", 100],
  ["that ends in the data", -1],
] as const) {
  const name = "model.safetensors";
  spoiled(`a safetensors file ${title}`, "neox-serial", cut(name, size), "WEIGHTS_TRUNCATED", name, "ends at");
  const shard = "model-00003-of-00003.safetensors";
  spoiled(`a shard ${title}`, "neox-sharded", cut(shard, size), "WEIGHTS_TRUNCATED", shard, "ends at");
}

for (const [title, bytes] of [
  ["garbage of a great length", Buffer.alloc(500, 0xa5)],
  ["garbage of a small length", safetensors("\x01\x02 garbage \x03")],
  ["several lines that are not JSON", safetensors("{\n garbage\n}")],
  ["null", safetensors("null")],
  ["a list", safetensors("[1, 2]")],
  ["a string", safetensors('"text"')],
  [
    "a tensor without a shape",
    safetensors(`{"${embedding}": {"dtype": "F32", "data_offsets": [0, 4]}}`, Buffer.alloc(4)),
  ],
  ["a tensor that is null", safetensors(`{"${embedding}": null}`)],
  ["negative offsets", safetensors(`{"${embedding}": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}`)],
] as const) {
  const spoil = withFile("model.safetensors", bytes);
  spoiled(`a safetensors header of ${title}`, "neox-serial", spoil, "WEIGHTS_INVALID", "model.safetensors");
}

for (const size of [0, 10, 1000, -1, -100]) {
  const title = `pytorch_model.bin cut to ${size} bytes`;
  spoiled(title, "neox-old-keys", cut("pytorch_model.bin", size), "ARCHIVE_INVALID", "pytorch_model.bin");
  spoiled(`model.pt cut to ${size} bytes`, "traced-neox", cut("model.pt", size), "ARCHIVE_INVALID", "model.pt");
}

t.test("an archive of this package that is cut off", async (t) => {
  const file = path.join(await temporaryFolder(t), "cut.pt");
  await convert(fixture("neox-serial"), file);
  await truncate(file, (await readFile(file)).length - 2000);
  await refusesToLoad(t, file, "ARCHIVE_INVALID", file);
  await refuses(t, "convert", () => convert(file, `${file}.again`), "ARCHIVE_INVALID", file);
});

const emptyZip = Buffer.concat([Buffer.from("PK\x05\x06", "latin1"), Buffer.alloc(18)]);
for (const [title, bytes] of [
  ["text", Buffer.from("weights")],
  ["random bytes", Buffer.alloc(100_000, 0xa5)],
  ["a zip without anything in it", emptyZip],
] as const) {
  const spoil = withFile("pytorch_model.bin", bytes);
  spoiled(`pytorch_model.bin that is ${title}`, "neox-old-keys", spoil, "ARCHIVE_INVALID", "pytorch_model.bin");
}
t.test("a file that is no archive", (t) =>
  refusesToLoad(t, path.join(fixture("neox-serial"), "config.json"), "ARCHIVE_INVALID", "config.json"),
);

t.test("a refused file is left as it is, and let go of", async (t) => {
  const folder = await copyOf("neox-serial", t);
  const file = path.join(folder, "model.safetensors");
  const bytes = await readFile(file);
  await editConfig(folder, (config) => (config.vocab_size = 68));
  await refusesToLoad(t, folder, "TENSOR_SHAPE", embedding);
  t.ok(bytes.equals(await readFile(file)), "nothing has written to it");
  await rename(file, `${file}.moved`);
  await refusesToLoad(t, folder, "WEIGHTS_MISSING", folder);
});
