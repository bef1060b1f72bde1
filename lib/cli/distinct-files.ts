import { realpath } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError } from "../errors.js";

/** Files by the options that name them; an option that is not given is undefined. */
export type NamedFiles = Readonly<Record<string, string | undefined>>;

/** The files of a model, which no output may replace. */
const modelFile =
  /^(?:(?:generation_|tokenizer_)?config|tokenizer|added_tokens|special_tokens_map|vocab|.*\.index)\.json$|^merges\.txt$|\.(?:safetensors|bin|pt|pth)$/;

/** The path behind links, of a file that may not exist yet. */
async function truePath(file: string): Promise<string> {
  const folder = await realpath(path.dirname(path.resolve(file))).catch(() => path.dirname(path.resolve(file)));
  const place = path.join(folder, path.basename(file));
  return realpath(place).catch(() => place);
}

/**
 * Refuses outputs that would replace what a command reads, or each other. model: the model's folder, whose files are
 * read too. Throws INVALID_ARGUMENT.
 */
export async function requireDistinct(inputs: NamedFiles, outputs: NamedFiles, model?: string): Promise<void> {
  const taken = new Map<string, string>();
  for (const [option, file] of Object.entries(inputs)) if (file !== undefined) taken.set(await truePath(file), option);
  const folder = model === undefined ? undefined : await truePath(model);
  for (const [option, file] of Object.entries(outputs)) {
    if (file === undefined) continue;
    const place = await truePath(file);
    const own = folder !== undefined && path.dirname(place) === folder && modelFile.test(path.basename(place));
    const other = taken.get(place) ?? (place === folder || own ? "<model>" : undefined);
    if (other !== undefined && (other !== "<model>" || (await exists(place)))) {
      throw new AttentionBypassError(
        "INVALID_ARGUMENT",
        `expected another file for ${option} than ${other} names but received ${file} for both`,
      );
    }
    taken.set(place, option);
  }
}

const exists = (place: string) =>
  realpath(place).then(
    () => true,
    () => false,
  );
