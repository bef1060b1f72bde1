import { types } from "node:util";
import type { NativeError } from "./native-error.js";
import { visible } from "./visible.js";

/** The values of `AttentionBypassError.code`. A code keeps its meaning in later versions. */
export const errorCodes = [
  /** An argument or option has the wrong type or is out of range. */
  "INVALID_ARGUMENT",
  /** A block number is outside the model. */
  "BLOCK_OUT_OF_RANGE",
  /** A block number was given twice. */
  "BLOCK_DUPLICATE",
  /** A head number is outside the model. */
  "HEAD_OUT_OF_RANGE",
  /** A head number was given twice. */
  "HEAD_DUPLICATE",
  /** A token id is outside the vocabulary. */
  "TOKEN_OUT_OF_RANGE",
  /** A row has more tokens than the model's context length. */
  "CONTEXT_TOO_LONG",
  /** The prefix is as long as its row or longer, so no suffix is left. */
  "PREFIX_TOO_LONG",
  /** The call takes or returns text, but the model has no tokenizer. */
  "TOKENIZER_MISSING",
  /** A tokenizer file is invalid or not supported. */
  "TOKENIZER_INVALID",
  /** A file of samples or text is invalid or not supported. */
  "SAMPLES_INVALID",
  /** The file to resume a sweep or a scan from is damaged or has another format. */
  "RESUME_FILE_INVALID",
  /** The file to resume a sweep or a scan from belongs to another one. */
  "RESUME_FILE_MISMATCH",
  /** A task's definition or one of its rows is invalid. */
  "TASK_INVALID",
  /** A value is not a sweep result, or lacks measurements that the call needs. */
  "SWEEP_INVALID",
  /** A value is not the result of a scan. */
  "SCAN_INVALID",
  /** Revisions of one call have different rows or settings, so they can't be compared. */
  "REVISIONS_DIFFER",
  /** A file or folder does not exist. */
  "FILE_NOT_FOUND",
  /** A checkpoint has no config.json. */
  "CONFIG_MISSING",
  /** A config can't be read or contradicts itself. */
  "CONFIG_INVALID",
  /** The model family, or a variant of it, is not supported. */
  "ARCHITECTURE_UNSUPPORTED",
  /** The bounds of docs/theory.md are not proven for this model family. */
  "BOUND_UNPROVEN",
  /** The activation function is not supported. */
  "ACTIVATION_UNSUPPORTED",
  /** The config scales the rotary embedding, which is not supported. */
  "ROPE_SCALING_UNSUPPORTED",
  /** The weights or one of their shards are missing. */
  "WEIGHTS_MISSING",
  /** A weights file is shorter than its header says. */
  "WEIGHTS_TRUNCATED",
  /** A weights file can't be read. */
  "WEIGHTS_INVALID",
  /** A weights file changed after its header was read. */
  "WEIGHTS_CHANGED",
  /** A weights file contains more than one model. */
  "WEIGHTS_AMBIGUOUS",
  /** Logits, weights or scores are NaN or infinite. */
  "NOT_FINITE",
  /** A file is not a PyTorch archive, or its content is invalid. */
  "ARCHIVE_INVALID",
  /** The weights lack a tensor that the config requires. */
  "TENSOR_MISSING",
  /** A tensor's shape differs from the shape that the config requires. */
  "TENSOR_SHAPE",
  /** A tensor's dtype is not supported for weights. */
  "TENSOR_DTYPE",
  /** The weights contain a tensor that does not belong to the config. */
  "TENSOR_UNEXPECTED",
  /** The logits of a traced module differ from those computed from its weights and config. */
  "TRACE_DISAGREES",
  /** A traced module fails, or exceeds its limits of time or memory. */
  "TRACE_FAILED",
  /** The requested device does not exist or can't be used. */
  "DEVICE_UNAVAILABLE",
  /** A CUDA device failed in a way that only a restart of the process ends. */
  "DEVICE_LOST",
  /** No libtorch of a supported version was found. */
  "LIBTORCH_NOT_FOUND",
  /** libtorch was found but does not load. */
  "LIBTORCH_LOAD_FAILED",
  /** libtorch failed during a computation. */
  "LIBTORCH_FAILED",
  /** The call needs an optional npm package that is not installed. */
  "PACKAGE_MISSING",
  /** The addon is neither built nor prebuilt. */
  "ADDON_NOT_FOUND",
  /** The addon was found but does not load. */
  "ADDON_LOAD_FAILED",
  /** There is not enough memory for the weights or the work. */
  "OUT_OF_MEMORY",
  /** The result has more numbers than one array can hold. */
  "RESULT_TOO_LARGE",
  /** The model was disposed. */
  "DISPOSED",
  /** A download failed because of the network or the server. */
  "DOWNLOAD_FAILED",
  /** The hub has no such model, or none that the token may read. */
  "MODEL_NOT_FOUND",
  /** The model has no such branch, tag or commit. */
  "REVISION_NOT_FOUND",
  /** The model is gated, and the token's owner has no access. */
  "MODEL_GATED",
  /** The model is gated, and there is no token. */
  "HUB_TOKEN_MISSING",
  /** The hub does not accept the token. */
  "HUB_TOKEN_REFUSED",
  /** The model is not in the cache, and HF_HUB_OFFLINE forbids requests. */
  "MODEL_NOT_CACHED",
  /** A file's checksum differs from the expected one. */
  "CHECKSUM_MISMATCH",
  /** The disk is full. */
  "DISK_FULL",
  /** The machine has no font to draw a PNG with. */
  "FONT_MISSING",
  /** A file or folder could not be written. */
  "WRITE_FAILED",
] as const;

/** An error code. docs/errors.md lists the cause and the cure of each. */
export type ErrorCode = (typeof errorCodes)[number];

/** Messages of other libraries can be of any length, have several lines and contain terminal escapes. */
const longestMessage = 10_000;

function oneLine(message: string): string {
  // A regular expression that replaces a line break and the white space around it takes quadratic time on long white
  // space.
  const parts = message.split(/[\t\r\n]/).map((part) => part.trim());
  const line = visible(parts.filter((part) => part !== "").join(" "));
  return line.length > longestMessage ? `${line.slice(0, longestMessage)}…` : line;
}

/**
 * The error of every failed call of this package, except for an aborted call, which rejects with the signal's reason.
 */
export class AttentionBypassError extends Error {
  /** Always "AttentionBypassError". */
  override readonly name = "AttentionBypassError";

  /** @internal Constructed only by the package. */
  constructor(
    /** The error code. */
    readonly code: ErrorCode,
    /** One line: what was expected, what was found and what to do. */
    message: string,
    options?: ErrorOptions & { trace?: string | undefined },
  ) {
    super(oneLine(message), options);
    if (options?.trace !== undefined) this.trace = options.trace;
  }

  /** libtorch's own error message, several lines long; undefined if the error is not from libtorch. */
  declare readonly trace?: string;
}

function isNativeError(error: unknown): error is NativeError {
  // Not `instanceof`: if tests run in a vm context, errors of Node and the addon belong to another realm.
  return types.isNativeError(error) && typeof (error as Partial<NativeError>).code === "string";
}

/**
 * Converts an error of the addon to an `AttentionBypassError` with the caller's stack; returns other errors unchanged.
 */
export function fromNative(error: unknown): unknown {
  if (!isNativeError(error) || !(errorCodes as readonly string[]).includes(error.code)) return error;
  return new AttentionBypassError(error.code as ErrorCode, error.message, { trace: error.trace });
}

/** Returns the code of a system error, such as ENOENT; undefined if it has none. */
export function systemCode(error: unknown): string | undefined {
  return isNativeError(error) ? error.code : undefined;
}

/** Returns the message of an error, or the text of any other value that was thrown. */
export function messageOf(error: unknown): string {
  return types.isNativeError(error) ? error.message : String(error);
}
