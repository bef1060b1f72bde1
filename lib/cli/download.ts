import type { Command } from "commander";
import { hubEnvironment, type RevisionOption, revisionFlag, revisionHelp } from "./hub-model.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { withProgress } from "./progress.js";

const examples = `
Downloads config, tokenizer files and one form of weights (safetensors if the
model has them) to the Hugging Face cache, which Python's transformers uses too,
and prints the folder. Files in the cache are not downloaded again. An
interrupted download is resumed. Every file is verified by its hash. --json
prints id, revision and folder.
${hubEnvironment}

Examples:
  $ attention-bypass download EleutherAI/pythia-160m-deduped
  $ attention-bypass download EleutherAI/pythia-160m-deduped@step3000
  $ attention-bypass download EleutherAI/pythia-160m-deduped \\
      --revision step3000 --json`;

async function run(id: string, options: RevisionOption & JsonOption, signal: AbortSignal): Promise<void> {
  // Loaded only here, because the modules for networks are slow to load.
  const { download } = await import("../hub/download.js");
  const { parseModelId } = await import("../hub/model-id.js");
  const { revision, json } = options;
  const folder = await withProgress("Downloading", options, (onProgress) =>
    download(id, { revision, signal, onProgress }),
  );
  if (json) await printJson({ ...parseModelId(id, revision), folder });
  else await print(`${folder}\n`);
}

export function addDownload(program: Command, signal: AbortSignal): void {
  const command = program
    .command("download")
    .summary("download a model of the Hugging Face hub")
    .description("Downloads a model of the Hugging Face hub and prints the folder of its files.")
    .argument("<id>", "name of the model: org/name, or org/name@revision")
    .option(revisionFlag, revisionHelp);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((id: string, options: RevisionOption & JsonOption) => run(id, options, signal));
}
