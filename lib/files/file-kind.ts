import type { InputFile } from "./input-file.js";

/** The file formats that can be read. */
export type FileKind = "npy" | "zip" | "parquet" | "gzip" | "zstd" | "text";

/**
 * What a file of an unsupported format is, and what the user can do. Both complete the message of `InputFile.refuse`.
 */
interface Refusal {
  received: string;
  advice: string;
}

const kinds: readonly [signature: string, FileKind][] = [
  ["\x93NUMPY", "npy"],
  ["PK\x03\x04", "zip"],
  ["PK\x05\x06", "zip"],
  ["PAR1", "parquet"],
  ["\x1f\x8b", "gzip"],
  ["\x28\xb5\x2f\xfd", "zstd"],
];

const decompress = (program: string) => `decompress it first, with ${program}`;
const toUtf8 = (encoding: string) => `convert it: iconv -f ${encoding} -t UTF-8 FILE > NEW`;
const asText = "export its text to a file in UTF-8";
const asRows = "export its rows to Parquet or JSON lines";

const refused: readonly [signature: string, received: string, advice: string][] = [
  ["version https://git-lfs", "it is a Git LFS pointer, not the file itself", "run `git lfs pull` in its clone"],
  ["\xff\xfe\0\0", "it is text in UTF-32", toUtf8("UTF-32")],
  ["\xff\xfe", "it is text in UTF-16", toUtf8("UTF-16")],
  ["\xfe\xff", "it is text in UTF-16", toUtf8("UTF-16")],
  ["MMIDIDX", "it is the index of a Megatron-LM data set", "save its token ids with numpy.save"],
  ["BZh", "it is compressed with bzip2", decompress("bunzip2")],
  ["\xfd7zXZ", "it is compressed with xz", decompress("unxz")],
  ["7z\xbc\xaf\x27\x1c", "it is a 7z archive", decompress("7z x")],
  ["Rar!", "it is a RAR archive", decompress("unrar")],
  ["\x89PNG", "it is a PNG image", asText],
  ["\xff\xd8\xff", "it is a JPEG image", asText],
  ["GIF8", "it is a GIF image", asText],
  ["%PDF-", "it is a PDF document", asText],
  ["\x7fELF", "it is a program (ELF)", asText],
  ["\x89HDF", "it is an HDF5 file", "save its token ids with numpy.save"],
  ["ARROW1", "it is an Arrow file", asRows],
  ["\xff\xff\xff\xff", "it is an Arrow stream", asRows],
  ["SQLite format 3", "it is an SQLite database", asRows],
  ["Obj\x01", "it is an Avro file", asRows],
  ["\x80\x02", "it is a Python pickle", "save its token ids with numpy.save"],
  ["\x80\x03", "it is a Python pickle", "save its token ids with numpy.save"],
  ["\x80\x04", "it is a Python pickle", "save its token ids with numpy.save"],
  ["\x80\x05", "it is a Python pickle", "save its token ids with numpy.save"],
];

/** Returns whether every other byte is zero and the rest is plain ASCII, as in UTF-16 without a byte order mark. */
function isUtf16(head: Buffer): boolean {
  if (head.length < 4) return false;
  return [0, 1].some((zeros) =>
    head.every((byte, index) => (index % 2 === zeros ? byte === 0 : byte === 10 || byte === 13 || byte >= 32)),
  );
}

function refusalOf(head: Buffer): Refusal | undefined {
  const latin1 = head.toString("latin1");
  const known = refused.find(([signature]) => latin1.startsWith(signature));
  if (known) return { received: known[1], advice: known[2] };
  if (/^(\xef\xbb\xbf)?\s*<(!doctype\s+html|html[\s>])/i.test(latin1)) {
    return {
      received: "it is an HTML page",
      advice: 'download the file itself ("raw", "resolve"); to score the page, pass its text instead of the path',
    };
  }
  if (isUtf16(head)) return { received: "it is text in UTF-16", advice: toUtf8("UTF-16LE") };
  if (!head.includes(0)) return undefined;
  return {
    received: "it is binary data of unknown format, such as a Megatron-LM .bin file or numpy's tofile output",
    advice: 'save token ids with numpy.save("ids.npy", numpy.fromfile(FILE, DTYPE).reshape(-1, LENGTH))',
  };
}

/** Returns the kind of a file by its first bytes. */
export function kindOf(head: Buffer): FileKind | Refusal {
  const latin1 = head.toString("latin1", 0, 8);
  const [, kind] = kinds.find(([signature]) => latin1.startsWith(signature)) ?? [];
  return kind ?? refusalOf(head) ?? "text";
}

/** Returns the kind of a file by its first bytes. Throws the purpose's code if that format can't be read. */
export async function fileKind(file: InputFile): Promise<FileKind> {
  const kind = kindOf(await file.head());
  if (typeof kind === "string") return kind;
  throw file.refuse(kind.received, kind.advice);
}
