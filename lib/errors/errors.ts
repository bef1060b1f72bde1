import { types } from "node:util";
import type { NativeError } from "./native-error.js";
import { visible } from "./visible.js";

/** The codes that {@link AttentionBypassError} carries. A code keeps its meaning in later versions. */
export const errorCodes = [
  /** An argument or option of the wrong type or out of its range. */
  "INVALID_ARGUMENT",
  /** A block number that the model does not have. */
  "BLOCK_OUT_OF_RANGE",
  /** A block number given twice. */
  "BLOCK_DUPLICATE",
  /** A head number that the model does not have. */
  "HEAD_OUT_OF_RANGE",
  /** A head number given twice. */
  "HEAD_DUPLICATE",
  /** A token id outside the vocabulary. */
  "TOKEN_OUT_OF_RANGE",
  /** More tokens than the model's context holds. */
  "CONTEXT_TOO_LONG",
  /** A prefix that leaves no suffix in its row. */
  "PREFIX_TOO_LONG",
  /** Text was given or asked for, but the model has no tokenizer. */
  "TOKENIZER_MISSING",
  /** A tokenizer file that can't be used. */
  "TOKENIZER_INVALID",
  /** A file of samples or of a text that can't be used. */
  "SAMPLES_INVALID",
  /** A file to resume a sweep from that is none, or that is broken. */
  "RESUME_FILE_INVALID",
  /** A file to resume a sweep from that is of another sweep. */
  "RESUME_FILE_MISMATCH",
  /** A task's definition or its rows can't be used. */
  "TASK_INVALID",
  /** The result of a sweep that is none, or that lacks what is needed of it. */
  "SWEEP_INVALID",
  /** A file or folder that is not there. */
  "FILE_NOT_FOUND",
  /** No config.json where one is needed. */
  "CONFIG_MISSING",
  /** A config that can't be read, or that contradicts itself. */
  "CONFIG_INVALID",
  /** A model family that the package does not load, or a variant of one. */
  "ARCHITECTURE_UNSUPPORTED",
  /** A family for which the bounds of docs/theory.md are not proven. */
  "BOUND_UNPROVEN",
  /** An activation that is not known. */
  "ACTIVATION_UNSUPPORTED",
  /** A scaling of the rotary embedding. */
  "ROPE_SCALING_UNSUPPORTED",
  /** No weights, or a missing shard. */
  "WEIGHTS_MISSING",
  /** A weights file that ends too early. */
  "WEIGHTS_TRUNCATED",
  /** A weights file that can't be read. */
  "WEIGHTS_INVALID",
  /** A weights file that is no longer what it was when the model was opened. */
  "WEIGHTS_CHANGED",
  /** A weights file that holds more than one model. */
  "WEIGHTS_AMBIGUOUS",
  /** Logits, weights or scores that are NaN or infinite. */
  "NOT_FINITE",
  /** A file that is no archive by PyTorch, or holds something else than it should. */
  "ARCHIVE_INVALID",
  /** A tensor that the config asks for and the weights lack. */
  "TENSOR_MISSING",
  /** A tensor of another shape than the config asks for. */
  "TENSOR_SHAPE",
  /** A tensor of a dtype that weights can't have. */
  "TENSOR_DTYPE",
  /** Weights that the config says nothing of. */
  "TENSOR_UNEXPECTED",
  /** A traced module that computes something else than its weights and config say. */
  "TRACE_DISAGREES",
  /** A traced module that can't be run within the limits for it. */
  "TRACE_FAILED",
  /** A device that is not there. */
  "DEVICE_UNAVAILABLE",
  /** No libtorch of the right version. */
  "LIBTORCH_NOT_FOUND",
  /** A libtorch that does not load. */
  "LIBTORCH_LOAD_FAILED",
  /** An error that libtorch met with at work. */
  "LIBTORCH_FAILED",
  /** An optional package that the call needs is not installed. */
  "PACKAGE_MISSING",
  /** The addon is neither built nor prebuilt. */
  "ADDON_NOT_FOUND",
  /** The addon is there and does not load. */
  "ADDON_LOAD_FAILED",
  "OUT_OF_MEMORY",
  /** A result of more numbers than one array can hold. */
  "RESULT_TOO_LARGE",
  /** The model has been disposed of. */
  "DISPOSED",
  /** A download that the network or the server does not give. */
  "DOWNLOAD_FAILED",
  /** A file that is not the one that was meant. */
  "CHECKSUM_MISMATCH",
  /** No room for what is to be written. */
  "DISK_FULL",
  /** A picture is to be drawn on a machine that has no font. */
  "FONT_MISSING",
  /** A file could not be written. */
  "WRITE_FAILED",
] as const;

/** What went wrong; docs/errors.md has cause and cure of each code. */
export type ErrorCode = (typeof errorCodes)[number];

/** What other parts say of a failure may come in several lines, be of any length and hold terminal escapes. */
const longestMessage = 10_000;

function oneLine(message: string): string {
  // A regular expression that replaces a line break and the white space around it takes quadratic time on long white space.
  const parts = message.split(/[\t\r\n]/).map((part) => part.trim());
  const line = visible(parts.filter((part) => part !== "").join(" "));
  return line.length > longestMessage ? `${line.slice(0, longestMessage)}…` : line;
}

/** Every failure of this package but an abort, which rejects with the signal's own reason. */
export class AttentionBypassError extends Error {
  /** Always the same. */
  override readonly name = "AttentionBypassError";

  /** @internal Made by the package. */
  constructor(
    /** What went wrong. */
    readonly code: ErrorCode,
    /** One line: what was expected, and what came. */
    message: string,
    options?: ErrorOptions & { trace?: string | undefined },
  ) {
    super(oneLine(message), options);
    if (options?.trace !== undefined) this.trace = options.trace;
  }

  /** libtorch's own account of the failure, where there is one; many lines long. */
  declare readonly trace?: string;
}

function isNativeError(error: unknown): error is NativeError {
  // Not `instanceof`: errors of Node and of the addon are of another realm where tests run in a vm context.
  return types.isNativeError(error) && typeof (error as Partial<NativeError>).code === "string";
}

/** Gives an error of the addon the stack of the call that it ended. */
export function fromNative(error: unknown): unknown {
  if (!isNativeError(error) || !(errorCodes as readonly string[]).includes(error.code)) return error;
  return new AttentionBypassError(error.code as ErrorCode, error.message, { trace: error.trace });
}

/** The code of a failure of the file system, such as ENOENT. */
export function systemCode(error: unknown): string | undefined {
  return isNativeError(error) ? error.code : undefined;
}

/** What an error says; anything can be thrown. */
export function messageOf(error: unknown): string {
  return types.isNativeError(error) ? error.message : String(error);
}
