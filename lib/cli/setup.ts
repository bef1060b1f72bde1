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
Downloads libtorch, which does the arithmetic, to this package's cache: for the
CPU from PyTorch's own site, checked by its SHA-256; for CUDA with pip,
including NVIDIA's libraries. An interrupted download is resumed. Nothing is
needed if the PyTorch of your Python has the right version; see
\`attention-bypass doctor\`.

Environment:
  ATTENTION_BYPASS_CACHE   this package's cache
                           (default: ~/.cache/attention-bypass)
  ATTENTION_BYPASS_PYTHON  the Python whose pip is used (default: python3)
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY
                           proxies; pip has its own settings too
  NODE_EXTRA_CA_CERTS      certificates of a company's own

Examples:
  $ attention-bypass setup
  $ attention-bypass setup --device cuda --yes
  $ attention-bypass setup --from pip
  $ attention-bypass setup \\
      --from ./torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
  $ attention-bypass setup --from https://mirror.example/libtorch.zip \\
      --sha256 6746dbcb...`;

function said(source: Source): string {
  if (source.kind === "pip") return `${source.requirement} by pip`;
  if (source.kind === "url") {
    return `${source.url}${source.bytes === undefined ? "" : ` (${Math.round(source.bytes / 2 ** 20)} MiB)`}`;
  }
  return source.kind === "file" ? source.file : source.folder;
}

/** Asks before something is downloaded. */
async function confirm(source: Source, { yes }: Options, signal: AbortSignal): Promise<void> {
  if (yes || source.kind === "file" || source.kind === "folder") return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected --yes to bring ${said(source)} where nobody can be asked`,
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Bring ${said(source)}? [Y/n] `, { signal }).finally(() => terminal.close());
  if (!/^(y|yes|)$/i.test(answer.trim())) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected yes but nothing is to be brought");
  }
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  // What reads networks and archives takes its time to load, and other commands are not to wait for it.
  const { findInstalled, chooseSource, setup } = await import("../setup/setup.js");
  const wanted: SetupOptions = {
    version: options.version,
    device: options.device,
    from: options.from,
    sha256: options.sha256?.toLowerCase(),
    signal,
    onWait: () => {
      if (!options.json) process.stderr.write("Another setup is running; waiting for it.\n");
    },
  };
  const tell = async ({ folder, version }: Libtorch, how: string) =>
    options.json ? printJson({ folder, version }) : print(`libtorch ${version} ${how} ${folder}\n`);
  const before = await findInstalled(wanted);
  if (before) return tell(before, "is there already:");
  const source = await chooseSource(wanted);
  await confirm(source, options, signal);
  const found = await withProgress("Setting up", options, (onProgress) => setup(source, { ...wanted, onProgress }));
  await tell(found, "is ready in");
}

export function addSetup(program: Command, signal: AbortSignal): void {
  const command = program
    .command("setup")
    .summary("bring libtorch, where this machine has none")
    .description("Brings libtorch into this package's cache.")
    .addOption(new Option("--device <device>", "what it is to run on").choices(["cpu", "cuda"]).default("cpu"))
    .option("--version <version>", "of libtorch", libtorchVersion)
    .option("--from <source>", "pip, or an address or path of PyTorch's wheel or libtorch's zip, or a folder")
    .option("--sha256 <checksum>", "of that file")
    .option("--yes", "do not ask");
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((options: Options) => run(options, signal));
}
