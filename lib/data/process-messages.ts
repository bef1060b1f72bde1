import type { Form, RenderedQuestion, Row } from "./question-renderer.js";

/** A message to the data process. */
export type DataRequest =
  /** A request for the first rows of a Parquet file of `size` bytes; answered with `Row[]`. */
  | { parquet: { size: number; limit: number | undefined; most: number } }
  /** A request to render the questions of rows; answered with `Rendering[]`. */
  | { render: { form: Form; rows: readonly Row[] } }
  /** The bytes that the process requested with `read`. */
  | { bytes: Uint8Array };

/**
 * A message of the data process: it is ready, the answer, why the request failed, or which bytes of the file it needs.
 */
export type DataReply =
  | { ready: true }
  | { value: unknown }
  | { failure: string }
  | { read: { position: number; length: number } };

/** A rendered question, or why a row could not be rendered. */
export type Rendering = { question: RenderedQuestion } | { failure: string };
