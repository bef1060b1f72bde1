import type { Command } from "commander";
import { type Diagnosis, diagnose } from "../addon/diagnose.js";
import { exitCodes } from "./exit-codes.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";

const examples = `
The exit code is 4 if no libtorch can be loaded, else 0.

Environment:
  ATTENTION_BYPASS_LIBTORCH  folder of a libtorch; no other place is searched
  ATTENTION_BYPASS_CACHE     this package's cache
                             (default: ~/.cache/attention-bypass)
  ATTENTION_BYPASS_PYTHON    Python whose PyTorch may be used
                             (default: python3, then python)

Examples:
  $ attention-bypass doctor
  $ attention-bypass doctor --json`;

function lines(diagnosis: Diagnosis): [name: string, value: string][] {
  const { cpu, wanted, attempts, libtorch, nvidia, runtime, cudaRefusal, auto, failure } = diagnosis;
  const found: [string, string][] = attempts.map(({ origin, path, refusal }) => [
    "searched",
    `${path} (${origin}): ${refusal ?? "used"}`,
  ]);
  const loaded: [string, string][] = runtime
    ? [
        ["CPU capability", runtime.cpuCapability],
        ["CPU kernels", `${runtime.cpuKernels || "libtorch's"} for products of a few tokens`],
        [
          "CPU arithmetic",
          `${runtime.cpuArithmetic.bfloat16} for bfloat16 models, ${runtime.cpuArithmetic.float16} for float16 models`,
        ],
        ["threads", String(runtime.threads)],
        ["CUDA devices", cudaRefusal === undefined ? String(runtime.cudaDevices) : `none: ${cudaRefusal}`],
        ["device auto", auto?.device ?? "none"],
      ]
    : [];
  return [
    ["attention-bypass", diagnosis.package],
    ["Node.js", diagnosis.node],
    ["platform", diagnosis.platform],
    ["glibc", diagnosis.glibc ?? "none; the prebuilt addons need it"],
    ["CPU", `${cpu.model}, ${cpu.cores} cores`],
    ["memory", `${diagnosis.memoryGiB} GiB`],
    ["NVIDIA driver", nvidia ? [nvidia.driver, ...nvidia.devices].join(", ") : "not loaded"],
    ["needed", `libtorch ${wanted.version}; addons for ${wanted.series.join(", ") || "no version: none is built"}`],
    ...found,
    ["libtorch", libtorch ? `${libtorch.version} in ${libtorch.folder}` : "none"],
    ...loaded,
    ["result", failure ? `no model can be loaded: ${failure.message} [${failure.code}]` : "models can be loaded"],
  ];
}

async function doctor({ json }: JsonOption): Promise<void> {
  const diagnosis = await diagnose();
  // The diagnosis is the result, so a failure in it changes only the exit code.
  if (json) await printJson(diagnosis);
  else
    await print(
      lines(diagnosis)
        .map(([name, value]) => `${`${name}:`.padEnd(18)}${value}\n`)
        .join(""),
    );
  if (diagnosis.failure !== undefined) process.exitCode = exitCodes.LIBTORCH_NOT_FOUND;
}

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .summary("check whether this machine can run models")
    .description(
      "Checks what loading a model needs: versions, each place where libtorch may be and why it is used or not, drivers, " +
        "devices and CPU capabilities. libtorch is loaded in a separate process.",
    );
  addJsonOption(command).addHelpText("after", examples).action(doctor);
}
