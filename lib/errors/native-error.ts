/** An `Error` made by the addon. */
export interface NativeError extends Error {
  code: string;
  /** libtorch's own account, many lines long. */
  trace?: string;
}
