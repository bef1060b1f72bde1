import * as v from "valibot";
import { AttentionBypassError, messageOf } from "../errors/errors.js";
import { validate } from "../errors/validation.js";
import { withinTime } from "./within-time.js";

/** A chat template of a tokenizer: Jinja's text, and the special tokens that it may name, such as bos_token. */
export interface ChatTemplate {
  readonly source: string;
  readonly tokens: Readonly<Record<string, string>>;
}

export const chatTemplate = v.strictObject({ source: v.string(), tokens: v.record(v.string(), v.string()) });

/** Parses a chat template as `convert` writes it into archives. Throws TOKENIZER_INVALID. */
export function parseChatTemplate(text: string, place: string): ChatTemplate {
  try {
    return validate(chatTemplate, JSON.parse(text), place, "TOKENIZER_INVALID");
  } catch (error) {
    if (error instanceof AttentionBypassError) throw error;
    throw new AttentionBypassError("TOKENIZER_INVALID", `expected JSON for ${place} but parsing it failed`, {
      cause: error,
    });
  }
}

/** A message of a chat. */
export interface ChatMessage {
  role: string;
  content: string;
}

/**
 * Returns the text of a chat, up to where the model's next message begins. Throws INVALID_ARGUMENT if the template refuses
 * the messages, fails or takes too long.
 */
export async function renderChat({ source, tokens }: ChatTemplate, messages: readonly ChatMessage[]): Promise<string> {
  const { Template } = await import("@huggingface/jinja");
  try {
    return withinTime(() => new Template(source).render({ ...tokens, messages, add_generation_prompt: true }));
  } catch (error) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected messages that the tokenizer's chat template accepts but it failed: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
