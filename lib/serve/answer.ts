import { randomBytes } from "node:crypto";
import { ApiError, toApiError } from "./api-error.js";
import type { ChoicePart } from "./choices.js";

/** The tokens of an answer, as OpenAI counts them. */
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** How the parts of choices are written for one endpoint. */
export interface AnswerForm {
  /** The first letters of answers' ids. */
  readonly idPrefix: string;
  /** Returns the event for a part of a stream; undefined if it needs none. */
  chunk(part: ChoicePart): object | undefined;
  /** Returns the event with the usage. */
  usageChunk(usage: Usage): object;
  /** Returns the whole answer. */
  answer(parts: AsyncIterable<ChoicePart>): Promise<object>;
}

/** What all events and answers of one request have in common. */
export interface AnswerHead {
  id: string;
  created: number;
  model: string;
}

/** Makes the head of an answer. */
export function answerHead(model: string, idPrefix: string): AnswerHead {
  const id = `${idPrefix}-${randomBytes(12).toString("hex")}`;
  return { id, created: Math.floor(Date.now() / 1000), model };
}

/** Counts the tokens of parts that pass through. */
export class UsageCounter {
  #generated = 0;

  constructor(private readonly promptTokens: number) {}

  async *count(parts: AsyncIterable<ChoicePart>): AsyncGenerator<ChoicePart, void, void> {
    for await (const part of parts) {
      if (part.generated) this.#generated += part.tokens.length;
      yield part;
    }
  }

  get usage(): Usage {
    const prompt_tokens = this.promptTokens;
    const completion_tokens = this.#generated;
    return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
  }
}

const event = (value: object | string) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;

/** Yields the server-sent events of an answer. An error after the first event becomes an event and ends the answer. */
export async function* events(
  parts: AsyncIterable<ChoicePart>,
  form: AnswerForm,
  head: AnswerHead,
  { usage, onError }: { usage: UsageCounter | undefined; onError(error: unknown): void },
): AsyncGenerator<string, void, void> {
  let begun = false;
  // With include_usage, OpenAI's events have the field usage, which is null except in the last one.
  const withUsage = usage === undefined ? {} : { usage: null };
  try {
    for await (const part of parts) {
      const chunk = form.chunk(part);
      if (chunk === undefined) continue;
      begun = true;
      yield event({ ...head, ...withUsage, ...chunk });
    }
    if (usage !== undefined) yield event({ ...head, ...form.usageChunk(usage.usage) });
    yield event("[DONE]");
  } catch (error) {
    if (!begun) throw error;
    const answer = toApiError(error);
    if (!(error instanceof ApiError) && answer.status >= 500) onError(error);
    yield event(answer.body);
  }
}
