import { spawnSync } from "node:child_process";
import { existingPython } from "../python.mjs";

const probe = `
import importlib.util, sys
if importlib.util.find_spec("transformers") is None:
    sys.exit(1)
import torch
torch.zeros(1, device=sys.argv[1])
`;

/** The first Python that has transformers and whose torch supports the device; undefined if there is none. */
export function pythonFor(device) {
  const own = process.env.ATTENTION_BYPASS_PYTHON;
  const works = (python) => spawnSync(python, ["-c", probe, device], { stdio: "ignore" }).status === 0;
  return [...(own ? [own] : ["python3", "python"]), existingPython()].find((python) => python && works(python));
}
