import { AttentionBypassError } from "../errors/errors.js";
import type { FileIdentity } from "../files/file-identity.js";
import { type RegularFile, readBytes, withRegularFile } from "../files/regular-file.js";
import { markName } from "./mark.js";
import { readSafetensorsHeader } from "./safetensors.js";
import type { ListedTensor } from "./stored-tensor.js";
import { readTorchArchive } from "./torch-archive.js";

/** The content of a weights file without the bytes of its tensors. */
export interface WeightsFile {
  readonly file: FileIdentity;
  readonly tensors: readonly ListedTensor[];
  /** The texts of the known extra files by name; empty for a file of another program. */
  readonly extra: ReadonlyMap<string, string>;
  /** Whether the file contains TorchScript code. */
  readonly hasCode: boolean;
}

const text = (form: RegExp) => (begin: Buffer) => form.test(begin.toString("latin1"));
const bytes = (hex: RegExp) => (begin: Buffer) => hex.test(begin.toString("hex"));

/** Files that are mistaken for weights: a test of their first bytes, what they are, and what to do. */
const otherFormats: readonly (readonly [is: (begin: Buffer) => boolean, description: string])[] = [
  [text(/^version https:\/\/git-lfs/), "it is a Git LFS pointer, not the file itself; download the file: git lfs pull"],
  [text(/^\s*<(!doctype html|html|head)/i), "it is an HTML page, not the file itself; download the file itself"],
  [text(/^\s*[{[]/), "it is JSON; give the folder of the checkpoint, or its file with the weights"],
  // The magic number of the old torch.save format, as a pickle.
  [
    bytes(/^80028a0a6cfc9c46f9206aa85019/),
    "it has the format of PyTorch before 1.6, or of torch.save(..., _use_new_zipfile_serialization=False); " +
      "write it again in Python: torch.save(torch.load(file), file)",
  ],
  [
    bytes(/^800[2-5]/),
    "it is a pickle, not a PyTorch archive; write it in Python: torch.save(model.state_dict(), file)",
  ],
  [text(/^GGUF/), "it is a GGUF file; load the checkpoint that it was made from"],
  [bytes(/^89484446/), "it is an HDF5 file; load the checkpoint for PyTorch"],
];

/** A zip archive begins with a record, or if it is empty with the end-of-directory record. */
const isZip = bytes(/^504b(0304|0506)/);
/** A header's length below 2^32, then its JSON. */
const isSafetensors = (begin: Buffer) => begin.length > 8 && begin.readUInt32LE(4) === 0 && begin[8] === 0x7b;

async function readAny(file: RegularFile, bySafetensorsName: boolean): Promise<Omit<WeightsFile, "file">> {
  const begin = await readBytes(file, 0, 256);
  if (isZip(begin)) return readTorchArchive(file);
  if (!isSafetensors(begin)) {
    const other = otherFormats.find(([is]) => is(begin));
    const code = bySafetensorsName ? "WEIGHTS_INVALID" : "ARCHIVE_INVALID";
    if (other !== undefined) {
      throw new AttentionBypassError(code, `expected weights in ${file.path} but ${other[1]}`);
    }
    if (!bySafetensorsName) {
      throw new AttentionBypassError(
        code,
        `expected an archive of PyTorch 1.6 or later, or safetensors, in ${file.path} but it is neither`,
      );
    }
  }
  const { tensors, mark } = await readSafetensorsHeader(file);
  return {
    tensors: tensors.map((tensor) => ({ name: tensor.name, locate: () => tensor })),
    extra: new Map(mark === undefined ? [] : [[markName, mark]]),
    hasCode: false,
  };
}

/**
 * Reads the header of a weights file: safetensors or a PyTorch archive, detected by its first bytes. Throws
 * WEIGHTS_MISSING, WEIGHTS_INVALID, WEIGHTS_TRUNCATED, ARCHIVE_INVALID, TENSOR_SHAPE, TENSOR_DTYPE.
 */
export function readWeightsFile(place: string): Promise<WeightsFile> {
  const bySafetensorsName = place.endsWith(".safetensors");
  const codes = {
    missing: "WEIGHTS_MISSING",
    invalid: bySafetensorsName ? "WEIGHTS_INVALID" : "ARCHIVE_INVALID",
  } as const;
  return withRegularFile(place, `weights in ${place}`, codes, async (file) => ({
    file: file.identity,
    ...(await readAny(file, bySafetensorsName)),
  }));
}
