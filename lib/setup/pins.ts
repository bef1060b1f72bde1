/** A file of PyTorch's that holds a whole libtorch. */
export interface PinnedFile {
  version: string;
  device: "cpu";
  platform: string;
  url: string;
  /** As PyTorch's index gives it. */
  sha256: string;
  bytes: number;
}

/** What `setup` downloads by itself; the one place where checksums are. */
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

/** The name of the file that an address is of. */
export function fileName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "");
}

/** A pinned file by its name, from wherever it comes. */
export function pinnedAs(name: string): PinnedFile | undefined {
  return pinnedFiles.find(({ url }) => fileName(url) === name);
}
