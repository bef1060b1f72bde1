import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";

/** An option or argument and the file that it names, undefined if it is not given. */
export type NamedFile = readonly [option: string, file: string | undefined];

/** The files in a model's folder that are read to load the model. */
const modelFile =
  /^(?:(?:generation_|tokenizer_)?config|tokenizer|added_tokens|special_tokens_map|vocab|.*\.index)\.json$|^merges\.txt$|\.(?:safetensors|bin|pt|pth)$/;

/** The path of a file without symbolic links. The file need not exist. */
async function truePath(file: string): Promise<string> {
  const folder = path.dirname(path.resolve(file));
  const place = path.join(await realpath(folder).catch(() => folder), path.basename(file));
  return realpath(place).catch(() => place);
}

/** Refuses outputs that would replace a file that the command reads, or each other. Throws INVALID_ARGUMENT. */
export async function requireDistinct(inputs: readonly NamedFile[], outputs: readonly NamedFile[]): Promise<void> {
  const taken = new Map<string, string>();
  for (const [option, file] of inputs) if (file !== undefined) taken.set(await truePath(file), option);
  for (const [option, file] of outputs) {
    if (file === undefined) continue;
    const place = await truePath(file);
    const ofModel = taken.get(path.dirname(place)) === "<model>" && modelFile.test(path.basename(place));
    const other = taken.get(place) ?? (ofModel && existsSync(place) ? "<model>" : undefined);
    if (other !== undefined) {
      throw new AttentionBypassError(
        "INVALID_ARGUMENT",
        `expected another file for ${option}, because ${other} names it or its folder, but received ${file}`,
      );
    }
    taken.set(place, option);
  }
}
