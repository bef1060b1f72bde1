import { createInterface } from "node:readline/promises";
import { type Command, Option } from "commander";
import { libtorchVersion } from "../addon/addon.js";
import type { Libtorch } from "../addon/libtorch.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { SetupDevice, SetupOptions, Source } from "../setup/setup.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { withProgress } from "./progress.js";

interface Options extends JsonOption {
  device: SetupDevice;
  version: string;
  from?: string;
  sha256?: string;
  yes?: boolean;
}

const examples = `
The CPU build comes from PyTorch's site and is verified by its SHA-256. The CUDA
build, with NVIDIA's libraries, is installed by pip. An interrupted download is
resumed. setup is not needed if the PyTorch of your Python has the right
version; see \`attention-bypass doctor\`.

Environment:
  ATTENTION_BYPASS_CACHE   this package's cache
                           (default: ~/.cache/attention-bypass)
  ATTENTION_BYPASS_PYTHON  Python whose pip is used (default: python3)
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY
                           proxies; pip also has its own settings
  NODE_EXTRA_CA_CERTS      additional certificates

Examples:
  $ attention-bypass setup
  $ attention-bypass setup --device cuda --yes
  $ attention-bypass setup --from pip
  $ attention-bypass setup \\
      --from ./torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
  $ attention-bypass setup --from https://mirror.example/libtorch.zip \\
      --sha256 6746dbcb...`;

function describe(source: Source, { version }: Options): string {
  if (source.kind === "pip") return `PyTorch ${version} with pip`;
  if (source.kind === "url") {
    return `${source.url}${source.bytes === undefined ? "" : ` (${Math.round(source.bytes / 2 ** 20)} MiB)`}`;
  }
  return source.kind === "file" ? source.file : source.folder;
}

/** Asks before something is downloaded. */
async function confirm(source: Source, options: Options, signal: AbortSignal): Promise<void> {
  if (options.yes || source.kind === "file" || source.kind === "folder") return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected --yes to download ${describe(source, options)}, because there is no terminal to ask on, but it is not given`,
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal
    .question(`Download ${describe(source, options)}? [Y/n] `, { signal })
    .finally(() => terminal.close());
  if (!/^(y|yes|)$/i.test(answer.trim())) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "setup was cancelled");
  }
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  // Loaded only here, because the modules for networks and archives are slow to load.
  const { findInstalled, chooseSource, setup } = await import("../setup/setup.js");
  const wanted: SetupOptions = {
    version: options.version,
    device: options.device,
    from: options.from,
    sha256: options.sha256?.toLowerCase(),
    signal,
    onWait: () => {
      if (!options.json) process.stderr.write("Another setup is running; waiting for it to finish.\n");
    },
  };
  const tell = async ({ folder, version }: Libtorch, how: string) =>
    options.json ? printJson({ folder, version }) : print(`libtorch ${version} ${how} ${folder}\n`);
  const before = await findInstalled(wanted);
  if (before) return tell(before, "is already in");
  const source = await chooseSource(wanted);
  await confirm(source, options, signal);
  const found = await withProgress("Setting up", options, (onProgress) => setup(source, { ...wanted, onProgress }));
  await tell(found, "is ready in");
}

export function addSetup(program: Command, signal: AbortSignal): void {
  const command = program
    .command("setup")
    .summary("download libtorch")
    .description("Downloads libtorch to this package's cache, or copies it from a file or folder.")
    .addOption(new Option("--device <device>", "device to run on").choices(["cpu", "cuda"]).default("cpu"))
    .option("--version <version>", "version of libtorch", libtorchVersion)
    .option("--from <source>", "pip, a URL or path of a PyTorch wheel or libtorch zip, or a libtorch folder")
    .option("--sha256 <checksum>", "SHA-256 of the file that --from names")
    .option("--yes", "do not ask");
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((options: Options) => run(options, signal));
}
