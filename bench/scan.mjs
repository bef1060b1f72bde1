// Compares the time of a scan with that of scoring the same windows in one call of scoreMemorization, and the memory of
// scans of texts of different lengths, each in a process of its own.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { embeddedMeasures, embeddedModel, loadModel } from "attention-bypass";

const script = path.resolve(import.meta.filename);
const [role, file] = process.argv.slice(2);
const prefixLength = 50;
const suffixLength = 50;

/** Prints the peak memory of this process, in MiB, after a scan of a file. */
async function measureMemory() {
  const model = await loadModel(embeddedModel(), { device: "cpu" });
  // One window in five, so that a megabyte takes minutes.
  const { summary } = await model.scan({ file }, { prefixLength, suffixLength, stride: 50 });
  await model.dispose();
  console.log(JSON.stringify({ ...summary, peak: process.resourceUsage().maxRSS / 1024 }));
}

async function compareTimes() {
  const text = readFileSync(path.join(embeddedMeasures(), "held-out.txt"), "utf8").slice(0, 25_000);
  const model = await loadModel(embeddedModel(), { device: "cpu" });
  const tokens = model.tokenizer.encode(text);
  const windows = [];
  for (let begin = 0; begin + prefixLength + suffixLength <= tokens.length; begin += 10) {
    windows.push(tokens.slice(begin, begin + prefixLength + suffixLength));
  }
  const metrics = ["exactMatch", "suffixLogLikelihood", "extractionProbability"];
  const works = {
    scoreMemorization: () => model.scoreMemorization(windows, { prefixLength, metrics }),
    scan: () => model.scan(text, { prefixLength, suffixLength }),
  };
  const best = {};
  // Alternately, so that both meet the same other work of the machine.
  for (let round = 0; round < 3; round++) {
    for (const [name, work] of Object.entries(works)) {
      const began = performance.now();
      await work();
      best[name] = Math.min(best[name] ?? Number.POSITIVE_INFINITY, performance.now() - began);
    }
  }
  await model.dispose();
  console.log(`${windows.length} windows: scoreMemorization ${(best.scoreMemorization / 1000).toFixed(2)} s,`);
  console.log(
    `scan ${(best.scan / 1000).toFixed(2)} s, ${(best.scoreMemorization / best.scan).toFixed(2)} of its speed`,
  );
}

function compareMemory() {
  const folder = mkdtempSync(path.join(tmpdir(), "attention-bypass-scan-"));
  try {
    const text = readFileSync(path.join(embeddedMeasures(), "held-out.txt"), "utf8");
    const peaks = [100_000, 1_000_000].map((length) => {
      const place = path.join(folder, `${length}.txt`);
      writeFileSync(place, text.repeat(Math.ceil(length / text.length)).slice(0, length));
      const result = JSON.parse(execFileSync(process.execPath, [script, "memory", place], { encoding: "utf8" }));
      console.log(`${length} characters, ${result.windows} windows: peak of ${result.peak.toFixed(0)} MiB`);
      return result.peak;
    });
    console.log(`${(peaks[1] / peaks[0]).toFixed(2)} times the memory`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (role === "memory") await measureMemory();
else {
  if (role !== "memory-only") await compareTimes();
  compareMemory();
}
