// The thread that DataWorker starts. Reads Parquet and renders templates of tasks, without access to files.
import { parentPort } from "node:worker_threads";
import type { Form, Row } from "./question-renderer.js";
import type { Rendering, WorkerReply, WorkerRequest } from "./worker-messages.js";

const port = parentPort as NonNullable<typeof parentPort>;
const reply = (message: WorkerReply) => port.postMessage(message);

const waiting: ((bytes: Uint8Array) => void)[] = [];

/** Asks for bytes of the file; answers come in the order of the questions. */
function read(position: number, length: number): Promise<Uint8Array> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    reply({ read: { position, length } });
  });
}

/** 64-bit integers are numbers in JSON too. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (ArrayBuffer.isView(value)) return plain(Array.from(value as unknown as ArrayLike<unknown>));
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

async function readParquet(size: number, limit: number | undefined, most: number): Promise<Row[]> {
  const [{ parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet-compressors"),
  ]);
  const file = {
    byteLength: size,
    async slice(from: number, to = size): Promise<ArrayBuffer> {
      if (!(from >= 0 && from <= to && to <= size)) throw new Error(`it points to bytes ${from} to ${to} of ${size}`);
      const bytes = await read(from, to - from);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    },
  };
  const metadata = await parquetMetadataAsync(file);
  const rowEnd = Math.min(Number(metadata.num_rows), limit ?? Number.POSITIVE_INFINITY);
  if (!(rowEnd <= most)) throw new Error(`it says that it has ${metadata.num_rows} rows, more than ${most}`);
  const rows = await parquetReadObjects({ file, metadata, rowEnd, compressors });
  return rows.map((row) => plain(row) as Row);
}

async function render(form: Form, rows: readonly Row[]): Promise<Rendering[]> {
  const { Renderer } = await import("./question-renderer.js");
  const renderer = new Renderer(form, await import("@huggingface/jinja"));
  return rows.map((row) => {
    try {
      return { question: renderer.render(row) };
    } catch (error) {
      return { failure: (error as Error).message };
    }
  });
}

async function answer(request: Exclude<WorkerRequest, { bytes: Uint8Array }>): Promise<unknown> {
  if ("render" in request) return render(request.render.form, request.render.rows);
  const { size, limit, most } = request.parquet;
  return readParquet(size, limit, most);
}

port.on("message", (request: WorkerRequest) => {
  if ("bytes" in request) {
    waiting.shift()?.(request.bytes);
    return;
  }
  answer(request).then(
    (value) => reply({ value }),
    (error: unknown) => reply({ failure: error instanceof Error ? error.message : String(error) }),
  );
});
