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

/** A question whose answer is one of several continuations. Text needs a tokenizer. */
export interface Question {
  /** What comes before the choices. */
  query: string | Tokens;
  /** Text follows the query after a space; token ids follow it as they are. */
  choices: readonly (string | Tokens)[];
  /** The place of the right choice, from 0. */
  gold: number;
}

/** Questions, or the path of a file with them; other fields are for those who wrote them. */
export interface QuestionTask {
  /** What results call it. */
  name: string;
  /** What it tests, such as "reasoning"; reports put tasks of one group together. */
  group?: string;
  /** The questions, or the path of a file with them: JSON lines or Parquet of the same fields. */
  questions: readonly Question[] | string;
}

/** A task by its definition: one of `benchmarkNames`, or the path of a definition of one's own. */
export interface DefinedTask {
  /** Its name, or its path. */
  definition: string;
  /** The file with the rows, JSON lines or Parquet, or a folder with it. */
  data: string;
  /** Take the first rows alone. Defaults to all. */
  rows?: number;
}

/** What `model.benchmark` and `model.sweep` take. */
export type Task = QuestionTask | DefinedTask;

/** How a model answers one question. */
export interface Answer {
  /** Of each choice, the sum over its tokens. Natural logarithms. */
  logLikelihoods: number[];
  /** The most probable choice's place, the first where several are as probable; not where there is no choice. */
  chosen?: number;
  /** Whether that is the right one; where there is no choice, whether greedy generation gives the continuation. */
  correct: boolean;
  /** The choice that is most probable by log-likelihood per character. */
  chosenByCharacter?: number;
  /** Whether that is the right one. */
  correctByCharacter?: boolean;
}

/** What the lm-evaluation-harness gives for a task with the same rows. */
export interface TaskScores {
  /** How many. */
  questions: number;
  /** Sequences that lost tokens at their beginning, as they are longer than the model's context. */
  truncated: number;
  /**
   * Its `acc`: share of the questions whose right choice is the most probable one; where there is but one
   * continuation, of those whose continuation is what greedy generation gives.
   */
  accuracy: number;
  /** Its `acc_norm`: the same by log-likelihood per character. Of tasks with choices alone. */
  normalizedAccuracy?: number;
  /** exp of the mean over questions of the continuation's negative log-likelihood. Of tasks with one continuation. */
  perplexity?: number;
  /** Of what stands above. A single question has none. */
  standardErrors: {
    /** Sample standard deviation / sqrt(questions). */
    accuracy?: number;
    /** The same. */
    normalizedAccuracy?: number;
    /** That of a log-normal variable; not there if it is more than a number holds. */
    perplexity?: number;
  };
  /** In the order of the rows. */
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
      // Looked at one by one, since an array may have holes and a length of billions.
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
    `expected { query, choices, gold } with two choices or more, and gold the place of one, for ${name} but received ${describe(value)}`,
  );
}

function parseQuestions(values: readonly unknown[], task: string): Question[] {
  const questions: Question[] = [];
  // Not `map`, which leaves out what a sparse array does not have.
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

/** What is asked, before it is made tokens of. */
interface Asked {
  pairs: Pair[];
  gold: number;
  characters: number[] | undefined;
}

async function askOwn({ name, questions }: QuestionTask, options: RowOptions): Promise<Asked[]> {
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
 * The tokens of a context and of what follows it, in the way of the lm-evaluation-harness: text is encoded as a whole
 * with a space between, spaces at the context's end belong to the continuation, what is longer than the context alone
 * is the continuation, and of what is longer than the model's context the beginning is left out.
 */
async function encode(
  { context, continuation }: Pair,
  ids: (value: string | Tokens) => Promise<Int32Array>,
  contextIds: (value: string | Tokens) => Promise<Int32Array>,
  config: ModelConfig,
  name: string,
): Promise<{ tokens: Int32Array; first: number; truncated: boolean }> {
  // The space before it would be a token, whose probability says nothing of an answer.
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
  // The last token predicts nothing, and so needs no place in the context.
  const kept = tokens.slice(-(config.contextLength + 1));
  return { tokens: kept, first: kept.length - length, truncated: kept.length < tokens.length };
}

/** The answers to one question follow one context, which need not be encoded for each of them. */
function rememberLast<Key, Value>(work: (key: Key) => Promise<Value>): (key: Key) => Promise<Value> {
  let last: { key: Key; value: Promise<Value> } | undefined;
  return (key) => {
    if (last?.key !== key) last = { key, value: work(key) };
    return last.value;
  };
}

/** A task with a row for each continuation of each question, question after question. */
export interface EncodedTask {
  name: string;
  group: string | undefined;
  kind: QuestionKind;
  questions: { gold: number; characters: number[] | undefined; count: number }[];
  truncated: number;
  rows: ScoredRow[];
}

/** Throws INVALID_ARGUMENT, TASK_INVALID, FILE_NOT_FOUND, TOKENIZER_MISSING, TOKEN_OUT_OF_RANGE, CONTEXT_TOO_LONG. */
export async function encodeTask(task: Task, session: Session, signal?: AbortSignal): Promise<EncodedTask> {
  const defined =
    "definition" in task
      ? await renderTask(await readDefinition(task.definition), task.data, { limit: task.rows, signal })
      : { name: task.name, group: task.group, kind: "choices" as const, questions: await askOwn(task, { signal }) };
  const { name, group, kind } = defined;
  const questions: readonly Asked[] = defined.questions;
  if (questions.length === 0) throw invalidArgument(`the task ${name}`, "at least one question", []);
  let truncated = 0;
  const rows: ScoredRow[] = [];
  for (const [index, question] of questions.entries()) {
    const place = `question ${index} of the task ${name}`;
    const ids = (value: string | Tokens) => encodeOrCheck(value, session, place, signal);
    const contextIds = rememberLast(ids);
    for (const pair of question.pairs) {
      const encoded = await encode(pair, ids, contextIds, session.config, place);
      if (encoded.truncated) truncated++;
      const { tokens, first } = encoded;
      // What greedy generation gives counts where there is no other choice.
      rows.push({ tokens, first, group: question, decode: false, rescore: kind === "continuation" });
    }
  }
  const counted = questions.map(({ pairs, gold, characters }) => ({ gold, characters, count: pairs.length }));
  return { name, group, kind, questions: counted, truncated, rows };
}

/** The first place of the greatest. */
const best = (numbers: readonly number[]) => numbers.indexOf(largest(numbers));

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
  const chosen = best(logLikelihoods);
  const answer = { logLikelihoods, chosen, correct: chosen === gold };
  if (kind === "contexts" || characters === undefined) return answer;
  const chosenByCharacter = best(logLikelihoods.map((value, index) => value / (characters[index] as number)));
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
