/** A file on PyTorch's servers that contains libtorch. */
export interface PinnedFile {
  version: string;
  device: "cpu";
  platform: string;
  url: string;
  /** The checksum from PyTorch's package index. */
  sha256: string;
  bytes: number;
}

/** The files that `setup` can download without `--from` and `--sha256`. */
export const pinnedFiles: readonly PinnedFile[] = [
  {
    version: "2.13.0",
    device: "cpu",
    platform: "linux-x64",
    url: "https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl",
    sha256: "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    bytes: 191794682,
  },
];

/** Returns the file name at the end of a URL. */
export function fileName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "");
}

/** Returns the pinned file with this file name, whatever its URL. */
export function pinnedAs(name: string): PinnedFile | undefined {
  return pinnedFiles.find(({ url }) => fileName(url) === name);
}
