import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";

/** Names of other formats, which other programs would then fail to read. */
const otherFormats: Readonly<Record<string, string>> = {
  ".safetensors": "safetensors",
  ".bin": "a PyTorch checkpoint",
  ".onnx": "ONNX",
  ".gguf": "GGUF",
};

/** Refuses a name for a TorchScript archive that means another format. Throws INVALID_ARGUMENT. */
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
