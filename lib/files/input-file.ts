import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AttentionBypassError, type ErrorCode, systemCode } from "../errors/errors.js";

/** What a file is read for: the words and the code of its errors. */
export interface Purpose {
  /** The expected content, for messages: "expected WHAT in FILE". */
  readonly what: string;
  /** The code of errors about the file's content. */
  readonly code: ErrorCode;
}

export const samplesPurpose: Purpose = { what: "samples", code: "SAMPLES_INVALID" };
export const textPurpose: Purpose = { what: "text", code: "SAMPLES_INVALID" };
export const taskRowsPurpose: Purpose = { what: "rows", code: "TASK_INVALID" };
export const definitionPurpose: Purpose = { what: "the definition of a task", code: "TASK_INVALID" };

/** A source of bytes that are read at ascending positions. */
export interface ByteSource {
  readonly size: number;
  /** Reads exactly `length` bytes from `position`. Throws if there are fewer. */
  read(position: number, length: number): Promise<Buffer>;
}

/** The number of bytes from which the kind of a file is detected. */
const headLength = 4096;

/** The bytes per read, so that memory does not grow with the file. */
const chunkLength = 256 * 1024;

// O_NONBLOCK: opening a FIFO without a writer would block. O_NOCTTY: a terminal must not become the controlling one.
const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

const missing: readonly (string | undefined)[] = ["ENOENT", "ENOTDIR"];

/** An open regular file. Opening fails for folders, pipes and devices. */
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

  /**
   * Opens a file. Throws FILE_NOT_FOUND if it does not exist, and the purpose's code if it can't be opened or is not a
   * regular file.
   */
  static async open(path: string, purpose: Purpose): Promise<InputFile> {
    const handle = await open(path, flags).catch((error: unknown) => {
      const code = missing.includes(systemCode(error)) ? "FILE_NOT_FOUND" : purpose.code;
      const { message } = error as Error;
      throw new AttentionBypassError(code, `expected ${purpose.what} in ${path} but ${message}`, { cause: error });
    });
    try {
      const found = await handle.stat();
      if (found.isFile()) return new InputFile(path, found.size, purpose, handle);
      const [kind, advice] = found.isDirectory()
        ? ["a folder", "give the path of a file in it"]
        : ["a pipe or a device, not a regular file", "write the data to a file first"];
      throw new AttentionBypassError(purpose.code, `expected ${purpose.what} in ${path} but it is ${kind}; ${advice}`);
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

  /** Reads the bytes from which the kind of the file is detected. */
  head(): Promise<Buffer> {
    return this.read(0, Math.min(headLength, this.size));
  }

  /** Yields the bytes from position `from` up to position `to`, in chunks. */
  async *chunks(from = 0, to = this.size): AsyncGenerator<Buffer, void, void> {
    for (let at = from; at < to; at += chunkLength) yield await this.read(at, Math.min(chunkLength, to - at));
  }

  /** Returns the error for unexpected content: what was found and, as `advice`, what to do. */
  refuse(received: string, advice?: string): AttentionBypassError {
    const { what, code } = this.purpose;
    return new AttentionBypassError(
      code,
      `expected ${what} in ${this.path} but ${received}${advice === undefined ? "" : `; ${advice}`}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
