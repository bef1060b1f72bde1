// Runs an untrusted TorchScript module in a process that was started for this and has set its own limits. Rows of
// tokens arrive as JSON lines on stdin. The answer to each, on file descriptor 3, is a JSON line with the shape of the
// logits or the failure, and the bytes of the logits if the shape is the expected one. What the module prints is
// ignored.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadAddon } from "../addon/addon.js";
import type { NativeLimits, NativeTraced } from "../addon/native.js";

/** One row of tokens to run, and the expected shape of its logits. */
export interface TracedRequest {
  tokens: number[];
  expected: number[];
}

const answers = 3;

function write(bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(answers, bytes, written);
}

function answer(header: { shape: number[] } | { failure: string }, data: Float32Array = new Float32Array()): void {
  write(Buffer.from(`${JSON.stringify(header)}\n`));
  write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

async function serve(file: string, limits: NativeLimits): Promise<void> {
  const { addon } = await loadAddon();
  const lines = createInterface({ input: process.stdin });
  let traced: NativeTraced | undefined;
  for await (const line of lines) {
    try {
      traced ??= new addon.Traced(file, limits);
      const { tokens, expected } = JSON.parse(line) as TracedRequest;
      const { data, shape } = traced.logits(Int32Array.from(tokens));
      const fits = JSON.stringify(shape) === JSON.stringify(expected);
      answer({ shape }, fits ? data : undefined);
    } catch (error) {
      answer({ failure: (error as Error).message });
    }
  }
}

const [file, limits] = process.argv.slice(2) as [string, string];
await serve(file, JSON.parse(limits) as NativeLimits);
