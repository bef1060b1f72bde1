import { AttentionBypassError, type ErrorCode, messageOf } from "../errors/errors.js";

/** Returns the version of glibc; undefined if the system has another C library, such as Alpine's musl. */
export function glibcVersion(): string | undefined {
  if (!process.report) return undefined;
  // The report's DNS look-ups take seconds on some machines.
  Object.assign(process.report, { excludeNetwork: true });
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime;
}

const isNvidias = (library: string) => /^lib(cu[a-z]|nv|nccl)/.test(library);

/** Explanations of the dynamic loader's messages, with what to do. The first pattern that matches is used. */
const meanings: readonly [pattern: RegExp, meaning: (name: string) => string][] = [
  [
    /version [`'](GLIBC_[\d.]+)' not found/,
    (version) => {
      const here = glibcVersion();
      const has = here === undefined ? "this system has another C library" : `this system has glibc ${here}`;
      return `it needs ${version.replace("_", " ")} but ${has}; use a newer system`;
    },
  ],
  [
    /version [`']((?:GLIBCXX|CXXABI)_[\d.]+)' not found/,
    (version) =>
      `it needs a libstdc++ with ${version}; use a newer system, or a Node.js that is not linked to an older libstdc++`,
  ],
  [
    /undefined symbol: ([\w@.]+)/,
    (symbol) =>
      `the symbol ${symbol} is missing, because libraries of different builds are mixed; ` +
      "`npx attention-bypass setup` installs a complete libtorch",
  ],
  [
    /(libcuda\.so[\d.]*): cannot open shared object file/,
    (library) => `${library} is part of NVIDIA's driver, which is not installed here`,
  ],
  [
    /([^/\s:]+): cannot open shared object file/,
    (library) =>
      isNvidias(library)
        ? `NVIDIA's library ${library} is missing; \`npx attention-bypass setup --device cuda\` installs it, or pip with ` +
          "PyTorch's own dependencies"
        : `${library} is missing; \`npx attention-bypass setup\` installs a complete libtorch`,
  ],
  [
    /(invalid ELF header|file too short|wrong ELF class|cannot read file data|not an ELF file)/,
    () => "the file is damaged or for another platform; `npx attention-bypass setup` installs a complete libtorch",
  ],
];

/** Returns the first line of the dynamic loader's message, with an explanation if the message is known. */
export function explainLoadFailure(error: unknown): string {
  const [message = ""] = messageOf(error).split("\n", 1);
  for (const [pattern, meaning] of meanings) {
    const found = pattern.exec(message);
    if (found) return `${message} (${meaning(found[1] as string)})`;
  }
  return message;
}

export function loadFailure(code: ErrorCode, what: string, error: unknown): AttentionBypassError {
  return new AttentionBypassError(code, `${what} does not load: ${explainLoadFailure(error)}`, { cause: error });
}
