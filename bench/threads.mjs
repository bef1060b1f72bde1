// Tokens a second of greedy decoding, one row, with `threads: 1` and with the default, on the machine as it is and beside
// busy loops, one for each core: node bench/threads.mjs [model folder] [--rounds 3] [--policies package,spin-300000]
//
// The policies are what OpenMP's threads do while they wait: "package" is what this package sets by itself, "passive"
// is OMP_WAIT_POLICY=passive, and "spin-N" is GOMP_SPINCOUNT=N; 300000 is what libgomp does unasked.
import { spawn } from "node:child_process";
import os from "node:os";
import { parseArgs } from "node:util";
import { embeddedModel, loadModel } from "attention-bypass";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    policies: { type: "string", default: "package,passive,spin-1000,spin-10000,spin-100000,spin-300000" },
    worker: { type: "string" },
  },
});
const [folder = embeddedModel("gpt-neox")] = positionals;
/** Milliseconds of decoding that one figure rests on. */
const shortest = 1000;

async function measure(threads) {
  const model = await loadModel(folder, { device: "cpu", ...(threads !== "default" && { threads: Number(threads) }) });
  const once = () => model.generate([1, 2, 3, 4], { maxNewTokens: 16, stopAtEndOfText: false });
  await once();
  let tokens = 0;
  const started = performance.now();
  do tokens += (await once()).tokens.length;
  while (performance.now() - started < shortest);
  process.stdout.write(String((tokens / (performance.now() - started)) * 1000));
  await model.dispose();
}

function environment(policy) {
  const { OMP_WAIT_POLICY: _, GOMP_SPINCOUNT: __, ...env } = process.env;
  if (policy === "package") return env;
  if (policy === "passive") return { ...env, OMP_WAIT_POLICY: "passive" };
  return { ...env, GOMP_SPINCOUNT: policy.replace("spin-", "") };
}

/** In a process of its own: OpenMP reads its settings once. */
function inChild(policy, threads) {
  const args = [import.meta.filename, folder, "--worker", threads];
  const child = spawn(process.execPath, args, { env: environment(policy), stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  return new Promise((resolve) => child.once("close", () => resolve(Number(said))));
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

async function compare() {
  const policies = values.policies.split(",");
  const found = new Map();
  const at = (load, policy, threads) => `${load} ${policy} ${threads}`;
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const load of ["idle", "loaded"]) {
      const loops = Array.from({ length: load === "loaded" ? os.availableParallelism() : 0 }, () =>
        spawn(process.execPath, ["--eval", "for (;;);"]),
      );
      try {
        for (const policy of policies) {
          for (const threads of ["1", "default"]) {
            const key = at(load, policy, threads);
            found.set(key, [...(found.get(key) ?? []), await inChild(policy, threads)]);
          }
        }
      } finally {
        for (const loop of loops) loop.kill();
      }
    }
  }
  console.log(
    `${os.availableParallelism()} cores, tokens a second, median of ${values.rounds}; default / 1 in brackets`,
  );
  console.log(
    "policy".padEnd(14),
    ...["idle: 1", "default", "", "loaded: 1", "default", ""].map((name) => name.padStart(9)),
  );
  for (const policy of policies) {
    const cells = ["idle", "loaded"].flatMap((load) => {
      const [one, all] = ["1", "default"].map((threads) => median(found.get(at(load, policy, threads))));
      return [one.toFixed(1), all.toFixed(1), `(${(all / one).toFixed(2)})`];
    });
    console.log(policy.padEnd(14), ...cells.map((cell) => cell.padStart(9)));
  }
}

await (values.worker === undefined ? compare() : measure(values.worker));
