import type { ErrorCode } from "../errors/errors.js";

const usage = 2;
const input = 3;
const environment = 4;

/** What the process answers where nothing in `exitCodes` fits. */
export const unexpected = 1;

/** A failure's exit code says who can mend it: the caller, the files, the machine. */
export const exitCodes: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: usage,
  BLOCK_OUT_OF_RANGE: usage,
  BLOCK_DUPLICATE: usage,
  HEAD_OUT_OF_RANGE: usage,
  HEAD_DUPLICATE: usage,
  TOKEN_OUT_OF_RANGE: usage,
  CONTEXT_TOO_LONG: usage,
  PREFIX_TOO_LONG: usage,
  TOKENIZER_MISSING: input,
  TOKENIZER_INVALID: input,
  SAMPLES_INVALID: input,
  RESUME_FILE_INVALID: input,
  RESUME_FILE_MISMATCH: input,
  TASK_INVALID: input,
  SWEEP_INVALID: input,
  FILE_NOT_FOUND: input,
  CONFIG_MISSING: input,
  CONFIG_INVALID: input,
  ARCHITECTURE_UNSUPPORTED: input,
  BOUND_UNPROVEN: input,
  ACTIVATION_UNSUPPORTED: input,
  ROPE_SCALING_UNSUPPORTED: input,
  WEIGHTS_MISSING: input,
  WEIGHTS_TRUNCATED: input,
  WEIGHTS_INVALID: input,
  WEIGHTS_CHANGED: input,
  WEIGHTS_AMBIGUOUS: input,
  NOT_FINITE: input,
  ARCHIVE_INVALID: input,
  TENSOR_MISSING: input,
  TENSOR_SHAPE: input,
  TENSOR_DTYPE: input,
  TENSOR_UNEXPECTED: input,
  TRACE_DISAGREES: input,
  TRACE_FAILED: input,
  DEVICE_UNAVAILABLE: environment,
  LIBTORCH_NOT_FOUND: environment,
  LIBTORCH_LOAD_FAILED: environment,
  LIBTORCH_FAILED: environment,
  ADDON_NOT_FOUND: environment,
  ADDON_LOAD_FAILED: environment,
  PACKAGE_MISSING: environment,
  OUT_OF_MEMORY: environment,
  RESULT_TOO_LARGE: usage,
  DOWNLOAD_FAILED: environment,
  CHECKSUM_MISMATCH: environment,
  DISK_FULL: environment,
  FONT_MISSING: environment,
  WRITE_FAILED: environment,
  DISPOSED: unexpected,
};

export const exitCodesHelp = `
Exit codes:
  0    it worked
  1    a failure of another kind
  2    the command line asks for something that is not possible
  3    an input file is missing, broken or not supported
  4    this machine can't: libtorch, addon, device, memory, writing, the network
  130  interrupted (143: terminated)

A failure is one line on stderr, "attention-bypass: message [CODE]". With --json
it is {"error":{"code","message"}}, and nothing else goes to stderr. Without
--json and without a terminal, stderr also has lines such as
"attention-bypass: Sweeping, 42 % done, about 12 min left": the device at the
beginning, then the progress every minute.`;
