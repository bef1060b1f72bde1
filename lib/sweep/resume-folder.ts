import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { AttentionBypassError, messageOf } from "../errors/errors.js";
import { reading } from "../errors/validation.js";
import { makeFolder } from "../files/make-folder.js";
import { node } from "../files/node.js";
import { writeOutput } from "../files/output-file.js";
import { checkSweep } from "./check-result.js";
import type { SweepResult } from "./result.js";

const headerFields = v.object({ format: v.string(), options: v.record(v.string(), v.string()) });

const sha256 = (content: string | Uint8Array) => node.crypto.createHash("sha256").update(content).digest("hex");

/** Returns a hash of each option. Typed arrays are hashed by their bytes; a function only by its being one. */
export function hashOptions(options: object): Record<string, string> {
  const plain = (_: string, value: unknown) => {
    if (ArrayBuffer.isView(value)) return sha256(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    if (typeof value === "bigint") return `${value}n`;
    return typeof value === "function" ? "a function" : value;
  };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return reading("options", () =>
    Object.fromEntries(given.map(([name, value]) => [name, sha256(JSON.stringify(value, plain))])),
  );
}

/** Returns a value as JSON, or undefined if that is longer than a string can be. */
function toJson(value: object): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new AttentionBypassError(
      "RESUME_FILE_INVALID",
      `expected a JSON file of unfinished sweeps in ${file} but ${messageOf(error)}; remove the file`,
      { cause: error },
    );
  }
}

/**
 * A folder with the finished part of a call that sweeps several models: the hashes of its options, the result of each
 * finished sweep, the resume file of the one in progress, and the downloads that are to be removed. Files are named
 * after a key, which is a text that identifies a model.
 */
export class ResumeFolder {
  private constructor(private readonly folder: string) {}

  /**
   * Opens or creates the folder of a call with these options. `kind` is what the call sweeps, as in the name of the file
   * with the options, such as "revisions". Throws RESUME_FILE_INVALID, RESUME_FILE_MISMATCH, DISK_FULL, WRITE_FAILED.
   */
  static async open(folder: string, kind: string, options: Record<string, string>): Promise<ResumeFolder> {
    await makeFolder(folder);
    const format = `attention-bypass ${kind} in progress, 1`;
    const file = path.join(folder, `${kind}.json`);
    if (!existsSync(file)) {
      await writeOutput(file, `${JSON.stringify({ format, options }, null, 2)}\n`);
      return new ResumeFolder(folder);
    }
    const parsed = v.safeParse(headerFields, await readJson(file));
    if (!parsed.success || parsed.output.format !== format) {
      throw new AttentionBypassError(
        "RESUME_FILE_INVALID",
        `expected the format "${format}" in ${file} but found another one; use another folder`,
      );
    }
    const before = parsed.output.options;
    const names = [...new Set([...Object.keys(before), ...Object.keys(options)])];
    const changed = names.filter((name) => before[name] !== options[name]);
    if (changed.length > 0) {
      throw new AttentionBypassError(
        "RESUME_FILE_MISMATCH",
        `expected the folder ${folder} to be of a call with the same options but these differ: ${changed.join(", ")}`,
      );
    }
    return new ResumeFolder(folder);
  }

  /** Returns the result for a key that an earlier call has finished. Throws RESUME_FILE_INVALID. */
  async finished(key: string): Promise<SweepResult | undefined> {
    const file = this.#file(key, "json");
    if (!existsSync(file)) return undefined;
    const value = await readJson(file);
    try {
      checkSweep(value, file);
    } catch (error) {
      const message = `${messageOf(error)}; remove the file`;
      throw new AttentionBypassError("RESUME_FILE_INVALID", message, { cause: error });
    }
    return value as SweepResult;
  }

  /**
   * Saves the result for a key. If it is longer than a string can be, the resume file stays instead, from which the sweep
   * is repeated without computing its rows again. Throws DISK_FULL, WRITE_FAILED.
   */
  async finish(key: string, sweep: SweepResult): Promise<void> {
    const json = toJson(sweep);
    if (json === undefined) return;
    await writeOutput(this.#file(key, "json"), `${json}\n`);
    await rm(this.sweepFile(key), { force: true });
  }

  /** Returns the path of the resume file of the sweep with this key. */
  sweepFile(key: string): string {
    return this.#file(key, "part");
  }

  /** Remembers that this call downloads a model, so that the download is removed even if the call is killed. */
  async markDownload(key: string): Promise<void> {
    await writeOutput(this.#file(key, "download"), "");
  }

  hasDownload(key: string): boolean {
    return existsSync(this.#file(key, "download"));
  }

  async forgetDownload(key: string): Promise<void> {
    await rm(this.#file(key, "download"), { force: true });
  }

  #file(key: string, ending: string): string {
    return path.join(this.folder, `${sha256(key).slice(0, 16)}.${ending}`);
  }
}
