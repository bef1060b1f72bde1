import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AttentionBypassError, type ErrorCode, systemCode } from "../errors/errors.js";

/** What a file is read for. */
export interface Purpose {
  /** What messages say was expected in the file. */
  readonly what: string;
  /** The code of an error of its content. */
  readonly code: ErrorCode;
}

export const samplesPurpose: Purpose = { what: "samples", code: "SAMPLES_INVALID" };
export const textPurpose: Purpose = { what: "text", code: "SAMPLES_INVALID" };
export const taskRowsPurpose: Purpose = { what: "rows", code: "TASK_INVALID" };
export const definitionPurpose: Purpose = { what: "the definition of a task", code: "TASK_INVALID" };

/** Bytes that are read in ascending order. */
export interface ByteSource {
  readonly size: number;
  /** Reads exactly so many bytes. Throws if there are fewer. */
  read(position: number, length: number): Promise<Buffer>;
}

/** The bytes by which the kind of a file is decided. */
const headLength = 4096;

/** How much of a file one read takes, so that memory does not grow with the file. */
const chunkLength = 256 * 1024;

// A FIFO without a writer must not block the open, and a terminal must not become the process's own.
const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

const missing: readonly (string | undefined)[] = ["ENOENT", "ENOTDIR"];

/** A regular file that is opened once. Everything else a path may be is refused when it is opened. */
export class InputFile implements ByteSource {
  readonly path: string;
  readonly size: number;
  readonly purpose: Purpose;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, purpose: Purpose, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.purpose = purpose;
    this.#handle = handle;
  }

  /** Throws FILE_NOT_FOUND, and the purpose's code for what can't be opened or is no regular file. */
  static async open(path: string, purpose: Purpose): Promise<InputFile> {
    const handle = await open(path, flags).catch((error: unknown) => {
      const code = missing.includes(systemCode(error)) ? "FILE_NOT_FOUND" : purpose.code;
      const { message } = error as Error;
      throw new AttentionBypassError(code, `expected ${purpose.what} in ${path} but ${message}`, { cause: error });
    });
    try {
      const found = await handle.stat();
      if (found.isFile()) return new InputFile(path, found.size, purpose, handle);
      const [kind, wayOut] = found.isDirectory()
        ? ["a folder", "give the path of a file in it"]
        : ["no regular file but a pipe or a device", "write the data to a file first"];
      throw new AttentionBypassError(purpose.code, `expected ${purpose.what} in ${path} but it is ${kind}; ${wayOut}`);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async read(position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#handle
        .read(bytes, done, length - done, position + done)
        .catch((error: Error) => {
          throw this.refuse(error.message);
        });
      if (bytesRead === 0) throw this.refuse(`it ends at byte ${position + done}, before its content is complete`);
      done += bytesRead;
    }
    return bytes;
  }

  /** The bytes by which the kind of the file is decided. */
  head(): Promise<Buffer> {
    return this.read(0, Math.min(headLength, this.size));
  }

  /** The bytes from one position to another, a piece after the other. */
  async *chunks(from = 0, to = this.size): AsyncGenerator<Buffer, void, void> {
    for (let at = from; at < to; at += chunkLength) yield await this.read(at, Math.min(chunkLength, to - at));
  }

  /** The error of a file whose content is not what it should be. */
  refuse(received: string, wayOut?: string): AttentionBypassError {
    const { what, code } = this.purpose;
    return new AttentionBypassError(
      code,
      `expected ${what} in ${this.path} but ${received}${wayOut === undefined ? "" : `; ${wayOut}`}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
