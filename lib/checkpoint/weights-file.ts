import { AttentionBypassError } from "../errors/errors.js";
import type { FileIdentity } from "../files/file-identity.js";
import { type RegularFile, readBytes, withRegularFile } from "../files/regular-file.js";
import { readSafetensorsHeader } from "./safetensors.js";
import type { ListedTensor } from "./stored-tensor.js";
import { readTorchArchive } from "./torch-archive.js";

/** What a file with weights says of itself. */
export interface WeightsFile {
  readonly file: FileIdentity;
  readonly tensors: readonly ListedTensor[];
  /** The texts of the known extra files, of an archive of this package. */
  readonly extra: ReadonlyMap<string, string>;
  /** Whether it is TorchScript. */
  readonly hasCode: boolean;
}

const text = (form: RegExp) => (begin: Buffer) => form.test(begin.toString("latin1"));
const bytes = (hex: RegExp) => (begin: Buffer) => hex.test(begin.toString("hex"));

/** What people take for weights: how it begins, what it is, and what to do. */
const strangers: readonly (readonly [is: (begin: Buffer) => boolean, description: string])[] = [
  [
    text(/^version https:\/\/git-lfs/),
    "it is a Git LFS pointer, a text in place of the file; download the file: git lfs pull",
  ],
  [text(/^\s*<(!doctype html|html|head)/i), "it is an HTML page, saved in place of the file; download the file itself"],
  [text(/^\s*[{[]/), "it is JSON; give the folder of the checkpoint, or its file with the weights"],
  // The number that torch.save wrote first, as a pickle.
  [
    bytes(/^80028a0a6cfc9c46f9206aa85019/),
    "PyTorch before 1.6 wrote it, or torch.save(..., _use_new_zipfile_serialization=False); " +
      "write it again in Python: torch.save(torch.load(file), file)",
  ],
  [
    bytes(/^800[2-5]/),
    "it is a pickle without PyTorch's archive; write it in Python: torch.save(model.state_dict(), file)",
  ],
  [text(/^GGUF/), "it is a GGUF file; load the checkpoint that it was made from"],
  [bytes(/^89484446/), "it is an HDF5 file; load the checkpoint for PyTorch"],
];

/** A zip archive begins with a record, or with its end where it is empty. */
const isZip = bytes(/^504b(0304|0506)/);
/** A header's length below 2^32, then its JSON. */
const isSafetensors = (begin: Buffer) => begin.length > 8 && begin.readUInt32LE(4) === 0 && begin[8] === 0x7b;

async function readAny(file: RegularFile, bySafetensorsName: boolean): Promise<Omit<WeightsFile, "file">> {
  const begin = await readBytes(file, 0, 256);
  if (isZip(begin)) return readTorchArchive(file);
  if (!isSafetensors(begin)) {
    const stranger = strangers.find(([is]) => is(begin));
    const code = bySafetensorsName ? "WEIGHTS_INVALID" : "ARCHIVE_INVALID";
    if (stranger !== undefined) {
      throw new AttentionBypassError(code, `expected weights in ${file.path} but ${stranger[1]}`);
    }
    if (!bySafetensorsName) {
      throw new AttentionBypassError(
        code,
        `expected an archive by PyTorch 1.6 or later in ${file.path} but it is neither that nor safetensors`,
      );
    }
  }
  const tensors = (await readSafetensorsHeader(file)).map((tensor) => ({ name: tensor.name, locate: () => tensor }));
  return { tensors, extra: new Map(), hasCode: false };
}

/**
 * Reads what a file with weights says of itself: safetensors or an archive by PyTorch, by its first bytes.
 * Throws WEIGHTS_MISSING, WEIGHTS_INVALID, WEIGHTS_TRUNCATED, ARCHIVE_INVALID, TENSOR_SHAPE, TENSOR_DTYPE.
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
