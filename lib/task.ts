import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { AttentionBypassError, type ErrorCode, systemCode } from "./errors.js";
import type { RowScores, ScoredRow } from "./scoring.js";
import { requireContext, requireTokenizer, type TokenContext, type Tokens, toTokenIds } from "./tokens.js";
import { describe, invalidArgument } from "./validation.js";

/** A question whose answer is one of several continuations. Text needs a tokenizer. */
export interface Question {
  query: string | Tokens;
  /** Text follows the query after a space; token ids follow it as they are. */
  choices: readonly (string | Tokens)[];
  /** The place of the right choice, from 0. */
  gold: number;
}

/** Questions, or the path of a file with them as JSON lines; other fields are for those who wrote them. */
export interface Task {
  name: string;
  questions: readonly Question[] | string;
}

/** How a model answers the questions of a task. */
export interface TaskScores {
  /** Share of the questions whose right choice is the most probable one, the first where several are as probable. */
  accuracy: number;
  questions: number;
  perQuestion: { chosen: number; correct: boolean; logLikelihoods: number[] }[];
}

const content = v.union([v.string(), v.array(v.number()), v.instance(Int32Array), v.instance(BigInt64Array)]);
const questionFields = v.pipe(
  v.object({ query: content, choices: v.pipe(v.array(content), v.minLength(2)), gold: v.number() }),
  v.check(({ choices, gold }) => Number.isInteger(gold) && gold >= 0 && gold < choices.length),
);

export const taskSchema = v.strictObject({
  name: v.pipe(v.string(), v.nonEmpty("a name")),
  questions: v.union([v.string(), v.array(v.any())], "questions, or the path of a file with them"),
});

function parseQuestion(value: unknown, name: string, code: ErrorCode): Question {
  const parsed = v.safeParse(questionFields, value);
  if (parsed.success) return parsed.output;
  throw new AttentionBypassError(
    code,
    `expected { query, choices, gold } with two choices or more, and gold the place of one, for ${name} but received ${describe(value)}`,
  );
}

async function readQuestions(file: string): Promise<Question[]> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    const code = systemCode(error) === "ENOENT" ? "FILE_NOT_FOUND" : "TASK_INVALID";
    throw new AttentionBypassError(code, `expected questions in ${file} but ${error.message}`, { cause: error });
  });
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const name = `line ${index + 1} of ${file}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new AttentionBypassError("TASK_INVALID", `expected JSON in ${name} but ${(error as Error).message}`);
    }
    return [parseQuestion(value, name, "TASK_INVALID")];
  });
}

/**
 * The query's tokens and the choice's, in the way of the lm-evaluation-harness: text is encoded as a whole, spaces at
 * the query's end belong to the choice, and what is longer than the query alone is the choice.
 */
function encode(query: string | Tokens, choice: string | Tokens, context: TokenContext, name: string): ScoredRow {
  const ids = (value: string | Tokens) =>
    toTokenIds(
      typeof value === "string" ? requireTokenizer(context.tokenizer, name).encode(value) : value,
      context.config,
      name,
    );
  const before = typeof query === "string" ? query.trimEnd() : query;
  const prefix = ids(before);
  const tokens =
    typeof query === "string" && typeof choice === "string"
      ? ids(`${query} ${choice}`)
      : Int32Array.from([...prefix, ...ids(typeof choice === "string" ? ` ${choice}` : choice)]);
  if (prefix.length === 0 || tokens.length <= prefix.length) {
    throw invalidArgument(name, "a query and choices of at least a token each", query);
  }
  requireContext(tokens.length, context.config, name);
  return { tokens, first: prefix.length, decode: false, settle: false };
}

/** A task with a row for each choice of each question, question after question. */
export interface EncodedTask {
  name: string;
  questions: Question[];
  rows: ScoredRow[];
}

/** Throws INVALID_ARGUMENT, TASK_INVALID, FILE_NOT_FOUND, TOKENIZER_MISSING, TOKEN_OUT_OF_RANGE, CONTEXT_TOO_LONG. */
export async function encodeTask({ name, questions }: Task, context: TokenContext): Promise<EncodedTask> {
  const read =
    typeof questions === "string"
      ? await readQuestions(questions)
      : questions.map((value, index) =>
          parseQuestion(value, `question ${index} of the task ${name}`, "INVALID_ARGUMENT"),
        );
  if (read.length === 0) throw invalidArgument(`the task ${name}`, "at least one question", questions);
  const rows = read.flatMap(({ query, choices }, index) =>
    choices.map((choice) => encode(query, choice, context, `question ${index} of the task ${name}`)),
  );
  return { name, questions: read, rows };
}

export function toTaskScores({ questions }: EncodedTask, scores: readonly RowScores[]): TaskScores {
  let at = 0;
  const perQuestion = questions.map(({ choices, gold }) => {
    const logLikelihoods = choices.map(() => (scores[at++] as RowScores).logLikelihood);
    const chosen = logLikelihoods.indexOf(Math.max(...logLikelihoods));
    return { chosen, correct: chosen === gold, logLikelihoods };
  });
  const correct = perQuestion.filter((question) => question.correct).length;
  return { accuracy: correct / questions.length, questions: questions.length, perQuestion };
}
