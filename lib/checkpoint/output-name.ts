import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";

/** Name endings of other formats. Programs for these formats would fail to read a TorchScript archive of that name. */
const otherFormats: Readonly<Record<string, string>> = {
  ".safetensors": "safetensors",
  ".bin": "a PyTorch checkpoint",
  ".onnx": "ONNX",
  ".gguf": "GGUF",
};

/** Name endings of files that contain a model. */
const fileNames: Readonly<Record<string, string>> = {
  ...otherFormats,
  ".pt": "a TorchScript archive",
  ".pth": "a PyTorch checkpoint",
};

/** Throws INVALID_ARGUMENT if the name of a TorchScript archive has the ending of another format. */
export function checkArchiveName(file: string): void {
  const ending = path.extname(file).toLowerCase();
  const format = otherFormats[ending];
  if (format === undefined) return;
  const advice =
    ending === ".safetensors" || ending === ".bin" ? '; the format "checkpoint" writes a folder with safetensors' : "";
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected the name of a TorchScript archive for to but received ${file}, the name of ${format}; ` +
      `give it a name such as ${path.basename(file, path.extname(file))}.pt${advice}`,
  );
}

/** Throws INVALID_ARGUMENT if the name of a checkpoint folder has the ending of a file. */
export function checkFolderName(folder: string): void {
  const format = fileNames[path.extname(folder).toLowerCase()];
  if (format === undefined) return;
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected the name of a folder for to, since the format is "checkpoint", but received ${folder}, the name of ${format}; ` +
      `give it a name such as ${path.basename(folder, path.extname(folder))}`,
  );
}
