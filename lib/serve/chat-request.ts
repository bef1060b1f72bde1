import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { type ChatMessage, renderChat } from "../tokenizer/chat-template.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { ApiError } from "./api-error.js";
import { commonOf, type GenerationRequest } from "./completion-request.js";
import type { ModelNames } from "./model-names.js";
import type { Limits } from "./options.js";
import { listPrompts } from "./prompts.js";
import { checkBody, commonFields, field, integer, neutral } from "./request-fields.js";
import type { ServedModel } from "./served-model.js";

const textPart = v.strictObject({ type: v.literal("text"), text: v.string() });
const message = v.strictObject({
  role: v.picklist(["system", "developer", "user", "assistant"]),
  content: v.union([v.string(), v.array(textPart)], "text, or a list of parts of the type text"),
  name: field(v.string()),
});

const chatSchema = (limits: Limits) =>
  v.strictObject({
    ...commonFields,
    messages: v.pipe(v.array(message), v.minLength(1, "at least one message")),
    max_tokens: field(integer(1, limits.newTokens)),
    max_completion_tokens: field(integer(1, limits.newTokens)),
    logprobs: field(v.boolean()),
    top_logprobs: field(integer(0, limits.logprobs)),
    tools: neutral(),
    tool_choice: neutral("none"),
    response_format: neutral(),
    store: neutral(false),
  });

function toText({ role, content }: v.InferOutput<typeof message>): ChatMessage {
  return { role, content: typeof content === "string" ? content : content.map(({ text }) => text).join("") };
}

async function render(tokenizer: Tokenizer, messages: readonly ChatMessage[]): Promise<string> {
  const { chatTemplate } = tokenizer;
  if (chatTemplate === undefined) {
    throw new ApiError(400, "expected a model with a chat template but this one has none; use /v1/completions", {
      code: "chat_template_missing",
    });
  }
  try {
    return await renderChat(chatTemplate, messages);
  } catch (error) {
    if (!(error instanceof AttentionBypassError)) throw error;
    throw new ApiError(400, error.message, { param: "messages" });
  }
}

/** Checks the body of a request to /v1/chat/completions and renders its messages. Throws 400, 404. */
export async function parseChat(
  body: unknown,
  names: ModelNames,
  limits: Limits,
  model: ServedModel & { tokenizer: Tokenizer },
): Promise<GenerationRequest> {
  const checked = checkBody(chatSchema(limits), body);
  const common = commonOf(checked, names);
  const { max_tokens, max_completion_tokens = max_tokens, logprobs = false, top_logprobs } = checked;
  if (top_logprobs !== undefined && !logprobs) {
    throw new ApiError(400, "expected top_logprobs only with logprobs: true", { param: "top_logprobs" });
  }
  const text = await render(model.tokenizer, checked.messages.map(toText));
  const row = Array.from(await model.tokenizer.encodeAsync(text));
  const room = Math.max(1, model.config.contextLength - row.length);
  return {
    ...common,
    prompts: listPrompts([row], { n: common.n, most: limits.choices }),
    // OpenAI's default is the rest of the context.
    maxTokens: max_completion_tokens ?? Math.min(limits.newTokens, room),
    logprobs: logprobs ? (top_logprobs ?? 0) : undefined,
    echo: false,
  };
}
