import * as v from "valibot";
import { AttentionBypassError, type ErrorCode } from "../errors/errors.js";
import { requireFinite } from "../errors/finite.js";
import { describe, invalidArgument, pathText, reading, wholeNumber } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import type { Session } from "../session/session.js";
import { exponentialOf, largest, type Measured, meanWithError } from "../statistics/statistics.js";
import { encodeOrCheck, isTypedTokens, joinTokens, type Tokens } from "../tokenizer/tokens.js";
import { type QuestionKind, type RowOptions, readDefinition, readTaskRows, renderTask } from "./task-definition.js";

/** A question whose answer is one of several continuations. Text requires a model with a tokenizer. */
export interface Question {
  /** The text or token ids before the choices. */
  query: string | Tokens;
  /**
   * The choices, at least two. A space separates a choice in text from the query; token ids follow the query directly.
   */
  choices: readonly (string | Tokens)[];
  /** The index of the right choice, from 0. */
  gold: number;
}

/** A task whose questions are given directly or in a file of the same fields. Other fields in the file are ignored. */
export interface QuestionTask {
  /** The name of the task in results. */
  name: string;
  /** What the task tests, such as "reasoning". Reports show tasks of one group together. */
  group?: string;
  /** The questions, or the path of a JSON lines or Parquet file with one question in each row. */
  questions: readonly Question[] | string;
}

/** A task described by a definition file. The tasks in `benchmarkNames` are examples. */
export interface DefinedTask {
  /** One of `benchmarkNames`, or the path of a definition file. */
  definition: string;
  /** The path of the data: a JSON lines or Parquet file with the rows, or a folder that contains it. */
  data: string;
  /** Ask only this many rows, from the first on. Defaults to all. */
  rows?: number;
}

/** A task for `model.benchmark` and `model.sweep`. */
export type Task = QuestionTask | DefinedTask;

/** A model's answer to one question. */
export interface Answer {
  /** The log-likelihood of each choice, the sum over its tokens. Natural logarithms. */
  logLikelihoods: number[];
  /**
   * The index of the most probable choice, the first one in a tie. Absent if the question has only one continuation.
   */
  chosen?: number;
  /** Whether `chosen` is the right choice. With only one continuation, whether greedy decoding generates it. */
  correct: boolean;
  /** The index of the choice with the highest log-likelihood per character. Absent for choices in token ids and for
   * tasks that choose among contexts. */
  chosenByCharacter?: number;
  /** Whether `chosenByCharacter` is the right choice. */
  correctByCharacter?: boolean;
}

/** The scores of a task, as the lm-evaluation-harness computes them from the same rows. */
export interface TaskScores {
  /** The number of questions. */
  questions: number;
  /** The number of sequences that are longer than the model's context and were cut at their beginning. */
  truncated: number;
  /**
   * The share of the questions whose right choice is the most probable one. For tasks with one continuation, the share
   * whose continuation greedy decoding generates. The harness calls it `acc`.
   */
  accuracy: number;
  /**
   * The share of the questions whose right choice has the highest log-likelihood per character. Only for tasks with
   * choices in text. The harness calls it `acc_norm`.
   */
  normalizedAccuracy?: number;
  /** The exponential of the mean negative log-likelihood of the continuations. Only for tasks with one continuation. */
  perplexity?: number;
  /** The standard errors of the values above. Absent for a single question. */
  standardErrors: {
    /** The sample standard deviation of the answers divided by sqrt(questions). */
    accuracy?: number;
    /** The sample standard deviation of the answers divided by sqrt(questions). */
    normalizedAccuracy?: number;
    /** The standard error of a log-normal variable. Absent if it is too large for a number. */
    perplexity?: number;
  };
  /** The answer to each question, in the order of the rows. */
  perQuestion: Answer[];
}

const content = v.union([v.string(), v.array(v.number()), v.custom<Int32Array | BigInt64Array>(isTypedTokens)]);
const questionFields = v.pipe(
  v.object({ query: content, choices: v.pipe(v.array(content), v.minLength(2)), gold: v.number() }),
  v.check(({ choices, gold }) => Number.isInteger(gold) && gold >= 0 && gold < choices.length),
);

export const taskSchema = v.union(
  [
    v.strictObject({
      name: v.pipe(v.string(), v.nonEmpty("a name")),
      group: v.optional(v.string()),
      // Questions are checked one by one later, since an array may have holes and a length of billions.
      questions: v.union([v.string(), v.custom<readonly unknown[]>(Array.isArray)]),
    }),
    v.strictObject({ definition: pathText, data: pathText, rows: v.optional(wholeNumber(1)) }),
  ],
  "{ name, questions } or { definition, data, rows? }",
);

function parseQuestion(value: unknown, name: string, code: ErrorCode): Question {
  const parsed = reading(name, () => v.safeParse(questionFields, value, { abortEarly: true }));
  if (parsed.success) return parsed.output;
  throw new AttentionBypassError(
    code,
    `expected { query, choices, gold }, with at least two choices and the index of the right one as gold, for ${name} but received ${describe(value)}`,
  );
}

function parseQuestions(values: readonly unknown[], task: string): Question[] {
  const questions: Question[] = [];
  // Not `map`, which skips the holes of a sparse array.
  for (let index = 0; index < values.length; index++) {
    const name = `question ${index} of the task ${task}`;
    const value = reading(name, () => values[index]);
    questions.push(parseQuestion(value, name, "INVALID_ARGUMENT"));
  }
  return questions;
}

/** A context and what follows it. */
interface Pair {
  context: string | Tokens;
  continuation: string | Tokens;
}

/** A question before it is encoded. */
interface TextQuestion {
  pairs: Pair[];
  gold: number;
  characters: number[] | undefined;
}

async function readQuestions({ name, questions }: QuestionTask, options: RowOptions): Promise<TextQuestion[]> {
  const parsed =
    typeof questions === "string"
      ? (await readTaskRows(questions, options)).map((row, index) =>
          parseQuestion(row, `question ${index + 1} of ${questions}`, "TASK_INVALID"),
        )
      : parseQuestions(questions, name);
  return parsed.map(({ query, choices, gold }) => ({
    pairs: choices.map((continuation) => ({ context: query, continuation })),
    gold,
    characters: choices.every((choice) => typeof choice === "string")
      ? choices.map((choice) => [...choice].length)
      : undefined,
  }));
}

/**
 * Encodes a context and its continuation as the lm-evaluation-harness does. Context, space and continuation are encoded
 * as one text, without the white space at the end of the context. The tokens after the context's own number of tokens
 * are the continuation. A sequence longer than the model's context is cut at its beginning.
 */
async function encode(
  { context, continuation }: Pair,
  ids: (value: string | Tokens) => Promise<Int32Array>,
  contextIds: (value: string | Tokens) => Promise<Int32Array>,
  config: ModelConfig,
  name: string,
): Promise<{ tokens: Int32Array; first: number; truncated: boolean }> {
  // Its only token would be the space, whose probability does not depend on the answer.
  if (continuation === "") throw invalidArgument(name, "choices that are not empty", continuation);
  const before = typeof context === "string" ? context.trimEnd() : context;
  let prefix = await contextIds(before);
  let tokens =
    typeof context === "string" && typeof continuation === "string"
      ? await ids(`${context} ${continuation}`)
      : joinTokens(prefix, await ids(typeof continuation === "string" ? ` ${continuation}` : continuation));
  const [end] = config.endTokens;
  if (before === "" && end !== undefined) {
    prefix = Int32Array.of(end);
    tokens = joinTokens(prefix, tokens);
  }
  const length = tokens.length - prefix.length;
  if (prefix.length === 0 || length <= 0) {
    throw invalidArgument(name, "a query and choices of at least a token each", context);
  }
  if (length > config.contextLength) {
    throw new AttentionBypassError(
      "CONTEXT_TOO_LONG",
      `expected continuations of at most ${config.contextLength} tokens, the model's context, for ${name} but received ${length}`,
    );
  }
  // The model never reads the last token, so a sequence may be one token longer than the context.
  const fitting = tokens.slice(-(config.contextLength + 1));
  return { tokens: fitting, first: fitting.length - length, truncated: fitting.length < tokens.length };
}

/** Caches the last result, since all choices of a question usually have the same context. */
function cacheLast<Key, Value>(work: (key: Key) => Promise<Value>): (key: Key) => Promise<Value> {
  let last: { key: Key; value: Promise<Value> } | undefined;
  return (key) => {
    if (last?.key !== key) last = { key, value: work(key) };
    return last.value;
  };
}

/** A task as rows to score: one for each continuation of each question, in the order of the questions. */
export interface EncodedTask {
  name: string;
  group: string | undefined;
  kind: QuestionKind;
  questions: { gold: number; characters: number[] | undefined; count: number }[];
  truncated: number;
  rows: ScoredRow[];
}

/**
 * Reads and encodes a task. Throws INVALID_ARGUMENT, TASK_INVALID, FILE_NOT_FOUND, TOKENIZER_MISSING,
 * TOKEN_OUT_OF_RANGE, CONTEXT_TOO_LONG.
 */
export async function encodeTask(task: Task, session: Session, signal?: AbortSignal): Promise<EncodedTask> {
  const defined =
    "definition" in task
      ? await renderTask(await readDefinition(task.definition), task.data, { limit: task.rows, signal })
      : {
          name: task.name,
          group: task.group,
          kind: "choices" as const,
          questions: await readQuestions(task, { signal }),
        };
  const { name, group, kind } = defined;
  const questions: readonly TextQuestion[] = defined.questions;
  if (questions.length === 0) throw invalidArgument(`the task ${name}`, "at least one question", []);
  let truncated = 0;
  const rows: ScoredRow[] = [];
  for (const [index, question] of questions.entries()) {
    const place = `question ${index} of the task ${name}`;
    const ids = (value: string | Tokens) => encodeOrCheck(value, session, place, signal);
    const contextIds = cacheLast(ids);
    for (const pair of question.pairs) {
      const encoded = await encode(pair, ids, contextIds, session.config, place);
      if (encoded.truncated) truncated++;
      const { tokens, first } = encoded;
      // Only questions with one continuation are scored by what greedy decoding generates.
      rows.push({ tokens, first, group: question, decode: false, rescore: kind === "continuation" });
    }
  }
  const counted = questions.map(({ pairs, gold, characters }) => ({ gold, characters, count: pairs.length }));
  return { name, group, kind, questions: counted, truncated, rows };
}

/** Returns the index of the greatest number, the first one in a tie. */
const indexOfLargest = (numbers: readonly number[]) => numbers.indexOf(largest(numbers));

function toAnswer(
  { gold, characters }: EncodedTask["questions"][number],
  kind: QuestionKind,
  rows: readonly ScoredRow[],
  scores: readonly RowScores[],
): Answer {
  const logLikelihoods = scores.map(({ logLikelihood }) => logLikelihood);
  if (kind === "continuation") {
    const { tokens, first } = rows[0] as ScoredRow;
    return { logLikelihoods, correct: scores[0]?.extractable === tokens.length - first };
  }
  const chosen = indexOfLargest(logLikelihoods);
  const answer = { logLikelihoods, chosen, correct: chosen === gold };
  if (kind === "contexts" || characters === undefined) return answer;
  const chosenByCharacter = indexOfLargest(logLikelihoods.map((value, index) => value / (characters[index] as number)));
  return { ...answer, chosenByCharacter, correctByCharacter: chosenByCharacter === gold };
}

export function toTaskScores(task: EncodedTask, scores: readonly RowScores[]): TaskScores {
  let at = 0;
  const perQuestion = task.questions.map((question) => {
    const begin = at;
    at += question.count;
    return toAnswer(question, task.kind, task.rows.slice(begin, at), scores.slice(begin, at));
  });
  const shareOf = (field: "correct" | "correctByCharacter"): Measured =>
    meanWithError(perQuestion.map((answer) => Number(answer[field])));
  const accuracy = shareOf("correct");
  const normalized = perQuestion[0]?.correctByCharacter === undefined ? undefined : shareOf("correctByCharacter");
  const perplexity =
    task.kind === "continuation"
      ? exponentialOf(meanWithError(scores.map(({ logLikelihood }) => -logLikelihood)))
      : undefined;
  const measured = {
    accuracy,
    ...(normalized && { normalizedAccuracy: normalized }),
    ...(perplexity && { perplexity }),
  };
  const values = Object.entries(measured).map(([name, { value }]) => [name, value]);
  const errors = Object.entries(measured).flatMap(([name, { standardError }]) =>
    standardError === undefined ? [] : [[name, standardError]],
  );
  return requireFinite(
    {
      questions: perQuestion.length,
      truncated: task.truncated,
      ...(Object.fromEntries(values) as Pick<TaskScores, keyof typeof measured>),
      standardErrors: Object.fromEntries(errors) as TaskScores["standardErrors"],
      perQuestion,
    },
    `the task ${task.name}`,
  );
}
