import type { Form, RenderedQuestion, Row } from "./question-renderer.js";

/** What the process is asked for. */
export type DataRequest =
  /** The first rows of a Parquet file of so many bytes; answered with `Row[]`. */
  | { parquet: { size: number; limit: number | undefined; most: number } }
  /** The questions of rows; answered with `Rendering[]`. */
  | { render: { form: Form; rows: readonly Row[] } }
  /** Bytes that the process asked for. */
  | { bytes: Uint8Array };

/** What the process says: that it has started, what was asked for, why there is none, or which bytes of the file it needs. */
export type DataReply =
  | { ready: true }
  | { value: unknown }
  | { failure: string }
  | { read: { position: number; length: number } };

/** A question, or why a row makes none. */
export type Rendering = { question: RenderedQuestion } | { failure: string };
