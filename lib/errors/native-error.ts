/** An `Error` that the addon throws. */
export interface NativeError extends Error {
  code: string;
  /** libtorch's own error message, several lines long. */
  trace?: string;
}
