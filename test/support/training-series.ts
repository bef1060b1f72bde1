// The checkpoints of a small training, which scripts/embedded/series.py writes, and a hub that serves them.
import { readdirSync, readFileSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import type { SweepRevisionsOptions } from "attention-bypass";
import { temporaryFolder } from "./fixtures.ts";
import { type Hub, startHub } from "./hub-server.ts";

export const series = path.join(import.meta.dirname, "..", "fixtures", "training-series");

/** In the order of training. */
export const steps = ["step0", "step40", "step80", "step160", "step320", "step640"];

/** What transformers counts on each checkpoint. */
export const expected: Record<string, { secrets: number; control: number; causes: number }> = JSON.parse(
  readFileSync(path.join(series, "expected.json"), "utf8"),
);

/** A fast sweep of one bypass over the secrets and the questions. */
export const measures = {
  samples: path.join(series, "secrets.jsonl"),
  metrics: ["exactMatch"],
  tasks: [{ name: "causes", questions: path.join(series, "causes.jsonl") }],
  over: [{ blocks: [3] }],
  device: "cpu",
  threads: 1,
} satisfies Partial<SweepRevisionsOptions>;

type Test = Parameters<typeof temporaryFolder>[0];

/** A copy of a checkpoint with the same weights that is another commit on the hub. */
async function relabelled(t: Test, step: string): Promise<string> {
  const folder = await temporaryFolder(t);
  await cp(path.join(series, step), folder, { recursive: true });
  const config = JSON.parse(readFileSync(path.join(folder, "generation_config.json"), "utf8"));
  await writeFile(path.join(folder, "generation_config.json"), JSON.stringify(config));
  return folder;
}

export const id = "tests/series";

/** Serves the series with the branches of its steps, and step480 with the weights of step320. */
export async function serveSeries(t: Test): Promise<{ hub: Hub; cacheFolder: string; where: object }> {
  const revisions = Object.fromEntries(steps.map((step) => [step, path.join(series, step)]));
  const doubled = await relabelled(t, "step320");
  const hub = await startHub({
    models: { [id]: { revisions: { main: await relabelled(t, "step640"), ...revisions, step480: doubled } } },
  });
  t.after(() => hub.close());
  const cacheFolder = await temporaryFolder(t);
  return { hub, cacheFolder, where: { endpoint: hub.endpoint, cacheFolder } };
}

/** The number of weight files that the hub has sent. */
export const weightsSent = ({ requests }: Hub): number =>
  requests.filter(({ storage, method }) => storage && method === "GET").length;

/** The files in a cache below a folder of the model, such as "blobs". */
export function cached(cacheFolder: string, kind: "blobs" | "snapshots" | "refs"): string[] {
  const folder = path.join(cacheFolder, `models--${id.replace("/", "--")}`, kind);
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
