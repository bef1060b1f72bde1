import { copyFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import type { ChatTemplate } from "../tokenizer/chat-template.js";
import { tokenizerFileNames } from "../tokenizer/file-names.js";
import type { Conversion } from "./conversion.js";

const isFile = (file: string) =>
  stat(file).then(
    (found) => found.isFile(),
    () => false,
  );

/** Copies the files with these names that a folder has. */
export async function copyFiles(from: string, to: string, files: readonly string[]): Promise<void> {
  for (const name of files) {
    const file = path.join(from, name);
    if (await isFile(file)) await copyFile(file, path.join(to, name));
  }
}

/** Returns tokenizer.json without the chat template, since other readers of it refuse unknown fields. */
export function splitTokenizer(tokenizerJson: object): { chat: ChatTemplate | undefined; json: object } {
  const { chat_template: chat, ...json } = tokenizerJson as { chat_template?: ChatTemplate };
  return { chat, json };
}

/** Writes the tokenizer of a checkpoint: the files of its folder, or the tokenizer.json that was read. */
export async function writeTokenizer(conversion: Conversion, to: string): Promise<void> {
  const { source, tokenizer, tokenizerJson, config } = conversion;
  if (tokenizerJson === undefined) return;
  const folder = tokenizer ?? (source.archive ? undefined : source.folder);
  if (folder !== undefined && !(await isFile(folder))) return copyFiles(folder, to, tokenizerFileNames);
  const { chat, json } = splitTokenizer(tokenizerJson);
  const settings = {
    // This class reads tokenizer.json as it is; the classes of the families make some settings anew.
    tokenizer_class: "PreTrainedTokenizerFast",
    model_max_length: config.contextLength,
    ...chat?.tokens,
  };
  await writeFile(path.join(to, "tokenizer.json"), JSON.stringify(json));
  await writeFile(path.join(to, "tokenizer_config.json"), `${JSON.stringify(settings, null, 2)}\n`);
  if (chat !== undefined) await writeFile(path.join(to, "chat_template.jinja"), chat.source);
}
