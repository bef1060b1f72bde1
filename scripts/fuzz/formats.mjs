// The mutated formats. Each is a list of seeds: files by name, a mutation for each file that may change, and the use in child.mjs
// that reads them.
import { readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { mutateBytes } from "./mutate/bytes.mjs";
import { mutateJson } from "./mutate/json.mjs";
import { mutateNpy } from "./mutate/npy.mjs";
import { mutateSafetensors } from "./mutate/safetensors.mjs";
import { mutateJsonLines, mutateText } from "./mutate/text.mjs";
import { mutateZip } from "./mutate/zip.mjs";
import { filesOf, fixtures, generationConfig, samples, tasks, tokenizerFiles } from "./seeds.mjs";

/** Mutates some lines of each file, and compresses the file again. */
function mutateGzip(bytes, random) {
  if (random.chance(0.3)) return mutateBytes(bytes, random);
  try {
    return gzipSync(mutateJsonLines(gunzipSync(bytes), random));
  } catch {
    return mutateBytes(bytes, random);
  }
}

const kinds = [
  [/\.safetensors$/, mutateSafetensors],
  [/\.(bin|pt|npz)$/, mutateZip],
  [/\.npy$/, mutateNpy],
  [/\.gz$/, mutateGzip],
  [/\.jsonl$/, mutateJsonLines],
  [/\.json$/, mutateJson],
  [/\.txt$/, mutateText],
];

export function mutate(name, bytes, random) {
  const [, change] = kinds.find(([pattern]) => pattern.test(name)) ?? [undefined, mutateBytes];
  return change(bytes, random);
}

const model = (name) => filesOf(path.join(fixtures, name));
const onlyIn = (files, pattern) => Object.keys(files).filter((name) => pattern.test(name));
const models = (names, pattern, use = { kind: "model" }) =>
  names.map((name) => {
    const files = model(name);
    return { files, changing: onlyIn(files, pattern), use };
  });

/** The formats by name. prepared: the folder that prepare.mjs has created. */
export function formatsOf(prepared) {
  const made = (name) => readFileSync(path.join(prepared, name));
  const small = model("neo-base-names");
  const converted = { "model.pt": made("converted.pt") };
  const traced = ["traced-neox", "traced-neo"].map((name) => ({
    "config.json": model(name)["config.json"],
    "traced.pt": model(name)["model.pt"],
  }));
  const file = (files, name, trust) => ({ files, changing: [name], use: { kind: "model", file: name, trust } });
  return {
    safetensors: models(
      ["neo-types", "neox-serial", "neox-tied", "neox-old-keys"].filter((name) => "model.safetensors" in model(name)),
      /\.safetensors$/,
    ),
    "safetensors index": models(["neox-sharded"], /\.(safetensors|index\.json)$/),
    pickle: models(
      ["neo-base-names", "neox-old-keys", "neox-sharded-bin"].filter(
        (name) => onlyIn(model(name), /\.bin$/).length > 0,
      ),
      /\.bin$/,
    ),
    "pickle index": models(["neox-sharded-bin"], /\.index\.json$/),
    archive: [file(converted, "model.pt")],
    traced: traced.map((files) => file(files, "traced.pt")),
    "traced, trusted": traced.map((files) => file(files, "traced.pt", true)),
    config: ["neo-types", "neox-serial", "neox-old-keys", "neo-base-names", "neo-attention-layers"].map((name) => ({
      files: { ...model(name), "generation_config.json": generationConfig },
      changing: ["config.json", "config.json", "generation_config.json"],
      use: { kind: "model" },
    })),
    tokenizer: tokenizerFiles.map((files) => ({ files, changing: Object.keys(files), use: { kind: "tokenizer" } })),
    npy: ["rows.npy", "wide.npy"].map((name) => ({
      files: { [name]: samples[name] },
      changing: [name],
      use: { kind: "samples", file: name },
    })),
    npz: [
      {
        files: { "rows.npz": samples["rows.npz"] },
        changing: ["rows.npz"],
        use: { kind: "samples", file: "rows.npz" },
      },
    ],
    "JSON lines": onlyIn(samples, /\.jsonl(\.gz)?$/).map((name) => ({
      files: { [name]: samples[name] },
      changing: [name],
      use: { kind: "samples", file: name },
    })),
    Parquet: [
      {
        files: { "piqa.parquet": samples["piqa.parquet"] },
        changing: ["piqa.parquet"],
        use: { kind: "samples", file: "piqa.parquet" },
      },
      ...tasks
        .filter(({ files }) => "rows.parquet" in files)
        .map(({ task, files }) => ({ files, changing: ["rows.parquet"], use: { kind: "task", task } })),
    ],
    task: tasks
      .filter(({ files }) => !("rows.parquet" in files))
      .map(({ task, files }) => ({ files, changing: Object.keys(files), use: { kind: "task", task } })),
    "sweep result": [
      { files: { "sweep.json": made("sweep.json") }, changing: ["sweep.json"], use: { kind: "sweep result" } },
    ],
    "resume file": [
      { files: { "resume.jsonl": made("resume.jsonl") }, changing: ["resume.jsonl"], use: { kind: "resume" } },
    ],
    disguised: [
      { files: small, changing: Object.keys(small), use: { kind: "model" }, disguised: true },
      ...onlyIn(samples, /./).map((name) => ({
        files: { [name]: samples[name] },
        changing: [name],
        use: { kind: "samples", file: name },
        disguised: true,
      })),
    ],
  };
}
