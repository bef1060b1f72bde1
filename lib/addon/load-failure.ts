import { AttentionBypassError, type ErrorCode, messageOf } from "../errors/errors.js";

/** The C library's version; undefined where it is another than glibc, such as Alpine's musl. */
export function glibcVersion(): string | undefined {
  if (!process.report) return undefined;
  // Asking the network for names takes seconds on some machines.
  Object.assign(process.report, { excludeNetwork: true });
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime;
}

const isNvidias = (library: string) => /^lib(cu[a-z]|nv|nccl)/.test(library);

/** What the dynamic loader's complaints mean, and what helps; of each the first that fits. */
const meanings: readonly [pattern: RegExp, meaning: (name: string) => string][] = [
  [
    /version [`'](GLIBC_[\d.]+)' not found/,
    (version) => {
      const here = glibcVersion();
      const has = here === undefined ? "this system has another C library" : `this system has glibc ${here}`;
      return `it needs ${version.replace("_", " ")} and ${has}; a newer system helps`;
    },
  ],
  [
    /version [`']((?:GLIBCXX|CXXABI)_[\d.]+)' not found/,
    (version) =>
      `it needs a libstdc++ with ${version}; a newer system helps, or a Node.js that is not linked to an older one`,
  ],
  [
    /undefined symbol: ([\w@.]+)/,
    (symbol) =>
      `the symbol ${symbol} is missing, so that parts of different builds came together; ` +
      "`npx attention-bypass setup` brings a whole libtorch",
  ],
  [
    /(libcuda\.so[\d.]*): cannot open shared object file/,
    (library) => `${library} is part of NVIDIA's driver, which is not installed here`,
  ],
  [
    /([^/\s:]+): cannot open shared object file/,
    (library) =>
      isNvidias(library)
        ? `NVIDIA's library ${library} is missing; \`npx attention-bypass setup --device cuda\` brings it, or pip with PyTorch's own dependencies`
        : `${library} is missing; \`npx attention-bypass setup\` brings a whole libtorch`,
  ],
  [
    /(invalid ELF header|file too short|wrong ELF class|cannot read file data|not an ELF file)/,
    () => "the file is spoilt or for another kind of machine; `npx attention-bypass setup` brings a whole libtorch",
  ],
];

/** A complaint of the dynamic loader, in one line, with what it means where that is known. */
export function explainLoadFailure(error: unknown): string {
  const [complaint = ""] = messageOf(error).split("\n", 1);
  for (const [pattern, meaning] of meanings) {
    const found = pattern.exec(complaint);
    if (found) return `${complaint} (${meaning(found[1] as string)})`;
  }
  return complaint;
}

export function loadFailure(code: ErrorCode, what: string, error: unknown): AttentionBypassError {
  return new AttentionBypassError(code, `${what} does not load: ${explainLoadFailure(error)}`, { cause: error });
}
