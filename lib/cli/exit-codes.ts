import type { ErrorCode } from "../errors/errors.js";

const usage = 2;
const input = 3;
const environment = 4;

/** The exit code of failures that `exitCodes` does not list. */
export const unexpected = 1;

/** The exit code of each failure. It shows where to fix it: in the command line, in the files, or on the machine. */
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
  SCAN_INVALID: input,
  REVISIONS_DIFFER: input,
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
  DEVICE_LOST: environment,
  LIBTORCH_NOT_FOUND: environment,
  LIBTORCH_LOAD_FAILED: environment,
  LIBTORCH_FAILED: environment,
  ADDON_NOT_FOUND: environment,
  ADDON_LOAD_FAILED: environment,
  PACKAGE_MISSING: environment,
  OUT_OF_MEMORY: environment,
  RESULT_TOO_LARGE: usage,
  MODEL_NOT_FOUND: input,
  REVISION_NOT_FOUND: input,
  MODEL_GATED: environment,
  HUB_TOKEN_MISSING: environment,
  HUB_TOKEN_REFUSED: environment,
  MODEL_NOT_CACHED: environment,
  DOWNLOAD_FAILED: environment,
  CHECKSUM_MISMATCH: environment,
  DISK_FULL: environment,
  FONT_MISSING: environment,
  WRITE_FAILED: environment,
  DISPOSED: unexpected,
};

export const exitCodesHelp = `
Exit codes:
  0    success
  1    any other failure
  2    invalid command line
  3    an input file is missing, invalid or not supported
  4    a problem of this machine: libtorch, addon, device, memory, disk, network
  130  interrupted (143: terminated)

A failure is one line on stderr: "attention-bypass: message [CODE]", or with
--json {"error":{"code","message"}}. With --json, stderr has nothing else.
Without --json, if stderr is not a terminal, it also receives the device at the
start, and every minute a line such as
"attention-bypass: Sweeping, 42 % done, about 12 min left".`;
