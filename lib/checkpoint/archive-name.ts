import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";

/** Name endings of other formats. Programs for these formats would fail to read a TorchScript archive of that name. */
const otherFormats: Readonly<Record<string, string>> = {
  ".safetensors": "safetensors",
  ".bin": "a PyTorch checkpoint",
  ".onnx": "ONNX",
  ".gguf": "GGUF",
};

/** Throws INVALID_ARGUMENT if the name of a TorchScript archive has the ending of another format. */
export function checkArchiveName(file: string): void {
  const ending = path.extname(file).toLowerCase();
  const format = otherFormats[ending];
  if (format === undefined) return;
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected the name of a TorchScript archive for to but received ${file}, the name of ${format}; ` +
      `convert writes only TorchScript, so give it a name such as ${path.basename(file, path.extname(file))}.pt`,
  );
}
