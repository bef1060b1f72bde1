import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { referencePython } from "../scripts/python.mjs";

/** A folder with a checkpoint of Pythia-160m's shape and samples.npy, 256 rows of 64 tokens, both random. */
export function pythia160mShape() {
  const folder = path.join(import.meta.dirname, "..", ".cache", "pythia-160m-shape");
  if (!existsSync(path.join(folder, "samples.npy"))) {
    const script = path.join(import.meta.dirname, "make_checkpoint.py");
    execFileSync(referencePython(), [script, folder], { stdio: "inherit" });
  }
  return folder;
}
