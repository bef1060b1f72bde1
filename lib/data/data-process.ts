// The process that DataProcess starts to read Parquet and to render task templates. A worker thread does the work, so
// that the main thread can end the process when its parent ends, even while a template loops.
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { failureMessage } from "./failure-message.js";
import type { DataReply, DataRequest, Rendering } from "./process-messages.js";
import type { Form, Row } from "./question-renderer.js";

/** The heap limit of the worker thread, in MiB. */
const heapMebibytes = 1024;

const reply = (message: DataReply) => parentPort?.postMessage(message);

const waiting: ((bytes: Uint8Array) => void)[] = [];

/** Requests bytes of the file from the parent process, which answers requests in order. */
function read(position: number, length: number): Promise<Uint8Array> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    reply({ read: { position, length } });
  });
}

/** Converts a Parquet value to plain data as JSON has it: bigints to numbers, typed arrays to arrays, dates to text. */
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
      if (!(from >= 0 && from <= to && to <= size)) throw new Error(`it refers to bytes ${from} to ${to} of ${size}`);
      const bytes = await read(from, to - from);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    },
  };
  const metadata = await parquetMetadataAsync(file);
  const rowEnd = Math.min(Number(metadata.num_rows), limit ?? Number.POSITIVE_INFINITY);
  if (!(rowEnd <= most)) throw new Error(`its header gives ${metadata.num_rows} rows, more than ${most}`);
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
      return { failure: failureMessage(error) };
    }
  });
}

async function answer(request: Exclude<DataRequest, { bytes: Uint8Array }>): Promise<unknown> {
  if ("render" in request) return render(request.render.form, request.render.rows);
  const { size, limit, most } = request.parquet;
  return readParquet(size, limit, most).catch((error: unknown) => {
    // hyparquet's TypeErrors and RangeErrors, thrown for invalid files, are not meaningful to a user.
    const internal = error instanceof TypeError || error instanceof RangeError;
    throw internal ? new Error("its parts contradict each other") : error;
  });
}

function serve(): void {
  reply({ ready: true });
  parentPort?.on("message", (request: DataRequest) => {
    if ("bytes" in request) {
      waiting.shift()?.(request.bytes);
      return;
    }
    answer(request).then(
      (value) => reply({ value }),
      (error: unknown) => reply({ failure: failureMessage(error) }),
    );
  });
}

function supervise(): void {
  const worker = new Worker(fileURLToPath(import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: heapMebibytes },
  });
  const send = (message: DataReply) => process.send?.(message);
  worker.on("message", send);
  worker.on("error", (error: NodeJS.ErrnoException) => {
    const full = error.code === "ERR_WORKER_OUT_OF_MEMORY";
    send({ failure: full ? `it needs more than the allowed ${heapMebibytes} MiB of memory` : error.message });
  });
  process.on("message", (request: DataRequest) => worker.postMessage(request));
  // SIGKILL, because an ordinary exit waits for the thread.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
}

if (isMainThread) supervise();
else serve();
