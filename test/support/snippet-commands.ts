import type { Snippet } from "./snippets.ts";

/** A command of a page. */
export interface Command {
  page: string;
  line: number;
  text: string;
}

/** Commands that are not run here, and why. */
const notRun: readonly [command: RegExp, reason: string][] = [
  [/^(npx )?attention-bypass .*--device cuda\b/, "needs a GPU"],
  [/^(npx )?attention-bypass setup\b/, "test/setup.test.ts runs it, with a server of its own"],
  [/^(npx )?attention-bypass serve\b/, "it runs until it is ended; test/serve.test.ts runs it"],
  [/^attention-bypass paper EleutherAI\//, "downloads models of several GB; test/paper.test.ts runs it on small ones"],
  [/^lm_eval\b/, "needs the lm-evaluation-harness; test/serve-harness.test.ts sends its requests"],
  [/^npm install\b/, "test/package.test.ts installs the package"],
  [/^npm pack\b/, "test/package.test.ts packs the package"],
  [/^npm run demo\b/, "it takes minutes"],
  [/^npm test\b/, "this is it"],
  [/^node [\w./-]+\.[mc]?js\b/, "a program of the page, or of examples/, which test/package.test.ts runs"],
  [/^curl\b/, "test/package.test.ts and test/serve.test.ts ask the servers"],
  [/^(python3? -m )?pip install\b/, "needs a network"],
  [/^(tslab install|jupyter lab)$/, "test/package.test.ts runs a notebook"],
  [/^vllm serve\b/, "needs vLLM"],
  [/^(python convert_hf_to_gguf\.py|llama-completion)\b/, "needs llama.cpp"],
  [/^npm run check-cuda\b/, "needs a GPU; test/check-cuda.test.ts rehearses it"],
  [/^deno run\b/, "test/hosts.test.ts runs it"],
  [/^npx esbuild\b/, "test/hosts.test.ts runs it"],
  [/^docker\b/, "needs Docker and a network"],
  [/^nvidia-smi\b/, "needs a GPU"],
  [/^python scripts\/embedded\/corpus\.py\b/, "test/embedded.test.ts runs it"],
  [/^python scripts\/embedded\/train\.py\b/, "takes half an hour"],
];

/** The commands of a block, each on one line and without its comment. */
export function commandsOf({ page, line, text }: Snippet): Command[] {
  const commands: Command[] = [];
  let begun: Command | undefined;
  for (const [index, part] of text.trimEnd().split("\n").entries()) {
    const own = part.replace(/(^|\s+)#.*$/, "").replace(/^\$ /, "");
    begun = begun ? { ...begun, text: `${begun.text} ${own.trim()}` } : { page, line: line + index, text: own.trim() };
    if (begun.text.endsWith("\\")) {
      begun.text = begun.text.slice(0, -1).trimEnd();
      continue;
    }
    if (begun.text !== "") commands.push(begun);
    begun = undefined;
  }
  return commands;
}

/** Whether a command is run here, is known not to be, or is neither. */
export function fateOf({ text }: Command): "run" | "not run" | "unknown" {
  const parts = text.split(/&&|\|/).map((part) => part.trim().replace(/^([A-Z_]+=\S+ )+/, ""));
  const exempt = (part: string) => notRun.some(([command]) => command.test(part));
  const ours = (part: string) => /^(npx )?attention-bypass /.test(part);
  if (parts.some(exempt)) return parts.every((part) => exempt(part) || ours(part)) ? "not run" : "unknown";
  return parts.every(ours) ? "run" : "unknown";
}
