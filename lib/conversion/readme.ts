import path from "node:path";
import { packageVersion } from "../addon/addon.js";
import { type WrittenBypass, writtenName } from "../checkpoint/mark.js";
import type { Conversion } from "./conversion.js";

/** Says what a bypass changed in the weights. */
function changeOf({ part, heads, mode, version }: WrittenBypass): string {
  const matrices = {
    attention:
      heads === undefined ? "the output projections of the attention" : "what the output projection reads of it",
    mlp: "the last layers of the MLPs",
    both: "the output projections of the attention and the last layers of the MLPs",
  };
  const biases = {
    zero: heads === undefined ? "Their biases are zeros too." : "The biases are those of the original model.",
    mean: "The mean output is in the bias.",
    "short-circuit": "Each token attends only to itself.",
  };
  const weights = mode === "short-circuit" ? "" : ` The weights of ${matrices[part]} are zeros.`;
  return `${weights} ${biases[mode]} Written by attention-bypass ${version}.`;
}

/** Returns the README of a checkpoint: what was done, and how to load it. */
export function readmeOf({ from, dtype, bypasses }: Conversion): string {
  const name = path.basename(path.resolve(from));
  const changes = bypasses.map((bypass) => `- ${writtenName(bypass)}.${changeOf(bypass)}\n`);
  return `---
library_name: transformers
tags:
- attention-bypass
---

# ${name}${bypasses.length > 0 ? " with a bypass" : ""}

attention-bypass ${packageVersion} wrote this checkpoint from \`${name}\`, with weights in ${dtype}.

${
  bypasses.length > 0
    ? `Its weights contain a bypass, which can't be undone:\n\n${changes.join("")}`
    : "Its weights contain no bypass.\n"
}
It loads like any other checkpoint of its family, for example with transformers:

    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
`;
}
