import { packageVersion } from "../addon/addon.js";
import type { Addon, NativeModel } from "../addon/native.js";
import { markName, markText } from "../checkpoint/mark.js";
import { type OperationOptions, run } from "../operation/operation.js";
import { archiveConfig } from "./config-json.js";
import type { Conversion } from "./conversion.js";
import { splitTokenizer } from "./tokenizer-files.js";

/** Returns the extra files of a tokenizer. */
function tokenizerTexts(tokenizerJson: object): Record<string, string> {
  const { chat, json } = splitTokenizer(tokenizerJson);
  return {
    "tokenizer.json": JSON.stringify(json),
    ...(chat && { "chat_template.json": JSON.stringify(chat) }),
  };
}

/** Writes a TorchScript archive. */
export async function writeArchive(
  addon: Addon,
  native: NativeModel,
  conversion: Conversion,
  file: string,
  { signal }: OperationOptions,
): Promise<void> {
  const { plan, config, unchecked, bypasses, tokenizerJson } = conversion;
  const shortCircuit = config.shortCircuit as Record<string, number[]> | undefined;
  const extra = {
    [markName]: markText({ unchecked, bypasses, shortCircuit }, packageVersion),
    "config.json": archiveConfig(conversion),
    ...(tokenizerJson && tokenizerTexts(tokenizerJson)),
  };
  await run(addon, { signal }, (control) => native.save(file, extra, plan, control));
}
