import { AttentionBypassError, type ErrorCode } from "../errors/errors.js";

/** An error in OpenAI's form, as the body of an answer. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

/** The types of errors in OpenAI's form, by status. */
const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  429: "rate_limit_error",
  500: "server_error",
  503: "server_error",
  504: "server_error",
};

/** An error with its HTTP status. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details: { param?: string; code?: string; retryAfter?: number } = {},
  ) {
    super(message);
  }

  get body(): ErrorBody {
    const { param = null, code = null } = this.details;
    return { error: { message: this.message, type: types[this.status] ?? "invalid_request_error", param, code } };
  }
}

/** Errors of the package that requests cause, and the field of the request. */
const requestErrors: Partial<Record<ErrorCode, string | undefined>> = {
  INVALID_ARGUMENT: undefined,
  TOKEN_OUT_OF_RANGE: "prompt",
  CONTEXT_TOO_LONG: "prompt",
  BLOCK_OUT_OF_RANGE: "bypass",
  BLOCK_DUPLICATE: "bypass",
  HEAD_OUT_OF_RANGE: "bypass",
  HEAD_DUPLICATE: "bypass",
};

/** Returns the answer to an error of the package or of a library; 500 for an unknown error. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof AttentionBypassError)) return new ApiError(500, "internal error");
  if (error.code in requestErrors) {
    const param = requestErrors[error.code];
    const code = error.code === "CONTEXT_TOO_LONG" ? "context_length_exceeded" : error.code.toLowerCase();
    return new ApiError(400, error.message, { code, ...(param !== undefined && { param }) });
  }
  const unavailable = error.code === "DISPOSED" || error.code === "OUT_OF_MEMORY";
  return new ApiError(unavailable ? 503 : 500, error.message, { code: error.code.toLowerCase() });
}
