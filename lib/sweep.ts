import * as v from "valibot";
import { packageVersion } from "./addon.js";
import type { BlockAttention } from "./attention.js";
import { encodeTasks, toBenchmarkResult } from "./benchmark.js";
import { type Bypass, type BypassMeans, meanRows, meansSchema, plainPlan } from "./bypass.js";
import type { ModelConfig } from "./config.js";
import type { TextFile } from "./data/text-argument.js";
import type { Dtype } from "./dtype.js";
import { type FileHash, hashFile, hashNumbers, hashRows } from "./fingerprint.js";
import {
  type MemorizationMetric,
  type MemorizationResult,
  measuredSamples,
  readScorable,
  toMemorizationResult,
  toScoredRows,
} from "./memorization.js";
import { defaultMemory } from "./memory-budget.js";
import { type OperationOptions, part } from "./operation.js";
import { type Perplexity, toPerplexity, toWindows, windowFields } from "./perplexity.js";
import { compareWithFloat32, type PrecisionDifference } from "./precision.js";
import { Progress } from "./progress.js";
import type { Samples } from "./samples.js";
import type { RowScores, ScoredRow } from "./scoring.js";
import type { Session } from "./session.js";
import { scoreRows } from "./settled-scoring.js";
import { type SurveyedBypass, survey } from "./survey.js";
import { Checkpoint } from "./sweep-checkpoint.js";
import {
  type BypassFamily,
  type SweptBlocks,
  type SweptModes,
  type SweptParts,
  sweptBlocks,
  sweptModes,
  sweptParts,
  toVariants,
  type Variant,
} from "./sweep-variants.js";
import { type EncodedTask, type Task, type TaskScores, taskSchema } from "./task.js";
import type { Tokens } from "./tokens.js";
import { invalidArgument, longCall, pathText, validate, wholeNumber } from "./validation.js";

/** Options of `model.sweep`: what to bypass, and what to measure; of samples, a text and tasks at least one. */
export interface SweepOptions<Metric extends MemorizationMetric = MemorizationMetric> extends OperationOptions {
  /** The blocks to bypass, one set after the other. Defaults to "blocks": each alone. */
  over?: SweptBlocks;
  /** The part of the blocks to bypass where a bypass does not say one, or several parts for each of these. Heads are always
   * parts of attention. Defaults to "attention". */
  part?: SweptParts;
  /** The mode of the bypasses that do not say one themselves, or several modes for each of them; "both" are zero and
   * short-circuit. Defaults to "zero". */
  mode?: SweptModes;
  /** Of the mode "mean", for the bypasses that have none themselves. */
  means?: BypassMeans;
  /** What may be memorized, as `scoreMemorization` takes it. */
  samples?: Samples;
  /** Tokens at the beginning of each sample that the model is given. Not needed where samples say it themselves. */
  prefixLength?: number;
  /** Take the first rows of the samples alone. Defaults to all. */
  rows?: number;
  /** What to measure of the samples. Defaults to everything. */
  metrics?: readonly Metric[];
  /** Of the sampling that `extractionProbability` is about. Defaults to 1. */
  temperature?: number;
  /** That sampling is among this many most probable tokens. Defaults to all. */
  topK?: number;
  /** A text to take the perplexity of, as `perplexity` takes it. */
  text?: string | Tokens | TextFile;
  /** The most tokens of the text that the model sees at once. Defaults to the model's context. */
  contextLength?: number;
  /** How many new tokens each window of the text scores after the first. Defaults to half of `contextLength`. */
  stride?: number;
  /** A token to put before the text, so that its first token has a prediction too. */
  beginningToken?: number;
  /** Questions to answer, by task. */
  tasks?: readonly Task[];
  /**
   * Bytes that may be taken beside the weights; results do not depend on them beyond rounding. Defaults to 1 GiB on
   * the CPU or half of what is available, whichever is less, and to half of what is free on a CUDA device.
   */
  memory?: number;
  /**
   * How many of the samples, or of the text's windows or the tasks' rows where there are no samples, are also taken to
   * find out what attention adds and how far each bypass takes the model from itself. Defaults to 0.
   */
  survey?: number;
  /** Of a model that is not float32: rows that are scored in float32 too. Defaults to one of 64, at least one. */
  compareRows?: number;
  /** A file that keeps what is done. A sweep that finds it there goes on where it was. */
  resume?: string;
}

/** What is measured of the model under one bypass. What was not asked for is not there. */
export interface SweepScores<Metric extends MemorizationMetric = MemorizationMetric> {
  /** Of the samples. */
  memorization?: MemorizationResult<Metric>;
  /** Of the text. */
  perplexity?: Perplexity;
  /** Of each task, by its name. */
  tasks?: Record<string, TaskScores>;
}

/** All that decides the numbers. */
export interface SweepSettings {
  /** As it was asked for, without means. */
  over: SweptBlocks;
  /** As it was asked for. */
  part: SweptParts;
  /** As it was asked for. */
  mode: SweptModes;
  /** The SHA-256 of means as 32-bit floats, of each bypass that has some, in the order in which they were given. */
  means?: string[];
  /** What the model ran on: "cpu" or "cuda:N". */
  device: string;
  /** What the model's weights were in. */
  dtype: Dtype;
  /** What it was computed with. */
  versions: {
    /** This package's. */
    "attention-bypass": string;
    /** As its build says. */
    libtorch: string;
  };
  /** The model. */
  model: {
    /** Its shape. */
    config: ModelConfig;
    /** Its weights. */
    files: FileHash[];
  };
  /** Where samples were given. */
  samples?: {
    /** How many. */
    rows: number;
    /** Where it was given. */
    prefixLength?: number;
    /** Of the rows as 32-bit integers: for each its length, where its suffix begins, and its tokens. */
    sha256: string;
    /** What was measured. */
    metrics: readonly MemorizationMetric[];
    /** Of the sampling that `extractionProbability` is about. */
    temperature: number;
    /** The same, where it was given. */
    topK?: number;
  };
  /** Where a text was given. */
  text?: {
    /** Into how many it was cut. */
    windows: number;
    /** Where it was given. */
    contextLength?: number;
    /** Where it was given. */
    stride?: number;
    /** Where it was given. */
    beginningToken?: number;
    /** Of the windows, as of samples. */
    sha256: string;
  };
  /** Where tasks were given. */
  tasks?: {
    /** As in the scores. */
    name: string;
    /** Where it says one. */
    group?: string;
    /** How many. */
    questions: number;
    /** Of the questions as rows, as of samples. */
    sha256: string;
  }[];
  /** Of a sweep with a survey: how many rows and tokens it was over. */
  survey?: {
    /** How many of the samples, windows or questions. */
    rows: number;
    /** How many tokens in them. */
    tokens: number;
  };
}

/** What is measured under a bypass. */
export type SweptVariant<Metric extends MemorizationMetric = MemorizationMetric> = Variant &
  SweepScores<Metric> & {
    /** Of a sweep with a survey. */
    divergence?: SurveyedBypass;
  };

/** What `model.sweep` gives, as plain data. */
export interface SweepResult<Metric extends MemorizationMetric = MemorizationMetric> {
  /** The unmodified model. */
  base: SweepScores<Metric>;
  /** Each bypass, in the order of `over`, once for each mode. */
  variants: SweptVariant<Metric>[];
  /** What each block's attention adds, by the survey. */
  attention?: BlockAttention[];
  /** How far that is from float32; only where the model is not float32. */
  precision?: PrecisionDifference;
  /** All that decides the numbers. */
  settings: SweepSettings;
  /** What it took, earlier sessions of a resumed sweep included. */
  cost: {
    /** Of wall-clock time. */
    seconds: number;
    /** Floating-point operations of the matrix products; multiplying and adding are two. */
    operations: number;
    /** The budget, in bytes. */
    memory: number;
    /** Version of Node. */
    node: string;
  };
}

/** The result of a sweep, of whatever metrics. */
export type AnySweepResult = SweepResult<never>;

const schema = v.strictObject({
  ...longCall,
  ...measuredSamples,
  ...windowFields,
  over: sweptBlocks,
  part: sweptParts,
  mode: sweptModes,
  means: v.optional(meansSchema),
  samples: v.optional(v.any()),
  text: v.optional(v.any()),
  tasks: v.optional(v.pipe(v.array(taskSchema), v.nonEmpty("at least one task"))),
  memory: v.optional(wholeNumber(1)),
  survey: v.optional(wholeNumber(0), 0),
  compareRows: v.optional(wholeNumber(0)),
  resume: v.optional(pathText),
});

type Checked = v.InferOutput<typeof schema>;

/** What a sweep measures, as rows to score: those of the samples, of the text, and of the tasks. */
interface Measures {
  samples: ScoredRow[];
  windows: ScoredRow[];
  tasks: EncodedTask[];
}

async function readMeasures(session: Session, checked: Checked): Promise<Measures> {
  const { samples, text, tasks = [] } = checked;
  if (samples === undefined && text === undefined && tasks.length === 0) {
    throw invalidArgument("options", "samples, a text or tasks to measure", checked);
  }
  return {
    samples: samples === undefined ? [] : toScoredRows(await readScorable(samples, checked, session), checked.metrics),
    windows: text === undefined ? [] : await toWindows(text, checked, session),
    tasks: await encodeTasks(tasks as Task[], { signal: checked.signal }, session),
  };
}

const hasMeans = (item: BypassFamily | Bypass): item is Bypass => typeof item === "object" && "means" in item;

/** The means are many numbers, which their hash stands for. */
function withoutMeans(over: SweptBlocks): SweptBlocks {
  if (!Array.isArray(over)) return over;
  return over.map((item: BypassFamily | Bypass) => {
    if (!hasMeans(item)) return item;
    const { means: _, ...bypass } = item;
    return bypass;
  });
}

function meansOf({ over, means }: Checked): BypassMeans[] {
  const listed = (Array.isArray(over) ? over : []) as (BypassFamily | Bypass)[];
  const own = listed.flatMap((item) => (hasMeans(item) ? (item.means ?? []) : []));
  return [...(means ? [means] : []), ...own];
}

async function describeSettings(
  session: Session,
  checked: Checked,
  { samples, windows, tasks }: Measures,
  surveyed: readonly ScoredRow[],
): Promise<SweepSettings> {
  const { config, device, dtype, files } = session;
  const given = <Name extends keyof Checked>(...names: Name[]) =>
    Object.fromEntries(names.flatMap((name) => (checked[name] === undefined ? [] : [[name, checked[name]]]))) as {
      [Key in Name]?: NonNullable<Checked[Key]>;
    };
  const means = meansOf(checked);
  return {
    over: withoutMeans(checked.over as SweptBlocks),
    part: checked.part,
    mode: checked.mode as SweptModes,
    ...(means.length > 0 && { means: means.map((own) => hashNumbers(meanRows(own, config, "means"))) }),
    device,
    dtype,
    versions: { "attention-bypass": packageVersion, libtorch: session.libtorch },
    model: { config, files: await Promise.all(files.map((file) => hashFile(file, checked.signal))) },
    ...(samples.length > 0 && {
      samples: {
        rows: samples.length,
        ...given("prefixLength"),
        sha256: hashRows(samples),
        metrics: checked.metrics,
        temperature: checked.temperature,
        ...given("topK"),
      },
    }),
    ...(windows.length > 0 && {
      text: {
        windows: windows.length,
        ...given("contextLength", "stride", "beginningToken"),
        sha256: hashRows(windows),
      },
    }),
    ...(tasks.length > 0 && {
      tasks: tasks.map(({ name, group, questions, rows }) => ({
        name,
        ...(group !== undefined && { group }),
        questions: questions.length,
        sha256: hashRows(rows),
      })),
    }),
    ...(surveyed.length > 0 && {
      survey: { rows: surveyed.length, tokens: surveyed.reduce((sum, { tokens }) => sum + tokens.length, 0) },
    }),
  };
}

function toScores<Metric extends MemorizationMetric>(
  { samples, windows, tasks }: Measures,
  scores: readonly RowScores[],
  metrics: readonly Metric[],
): SweepScores<Metric> {
  const left = [...scores];
  const next = (count: number) => left.splice(0, count);
  const result: SweepScores<Metric> = {};
  if (samples.length > 0) result.memorization = toMemorizationResult(samples, next(samples.length), metrics);
  if (windows.length > 0) result.perplexity = toPerplexity(windows, next(windows.length));
  if (tasks.length > 0) {
    result.tasks = toBenchmarkResult(tasks, left);
  }
  return result;
}

/**
 * Measures the model with no bypass and with each of many, all in one walk through its blocks: up to the block where a
 * variant first differs it is the unmodified model, and is computed once for all.
 */
export async function sweep<Metric extends MemorizationMetric = MemorizationMetric>(
  session: Session,
  options: SweepOptions<Metric>,
): Promise<SweepResult<Metric>> {
  const began = performance.now();
  const checked = validate(schema, options, "options");
  const { over, part: parts, mode: modes, means } = checked as Checked & { over: SweptBlocks };
  const variants = toVariants(over, { parts, modes, means }, session.config);
  const plans = [plainPlan(session.config), ...variants.map(({ plan }) => plan)];
  const measures = await readMeasures(session, checked);
  const rows = [...measures.samples, ...measures.windows, ...measures.tasks.flatMap((task) => task.rows)];
  // Samples come first of all.
  const surveyed = rows.slice(0, checked.survey);
  const settings = await describeSettings(session, checked, measures, surveyed);
  // A survey is quick next to the rest, and made anew.
  const { survey: _, ...resumable } = settings;
  checked.signal?.throwIfAborted();

  const memory = { asked: checked.memory, standard: defaultMemory(session) };
  const checkpoint =
    checked.resume === undefined
      ? undefined
      : await Checkpoint.open(checked.resume, { ...resumable }, memory, { rows: rows.length, plans: plans.length });
  const budget = checkpoint?.memory ?? memory.asked ?? memory.standard;
  const scheme = { temperature: checked.temperature, topK: checked.topK ?? 0 };
  const compared = session.dtype === "float32" ? 0 : (checked.compareRows ?? Math.ceil(rows.length / 64));
  // As if float32 took the time of two rows, and float64 twice, with the bypass and without, that of eight.
  const work = rows.length + 2 * compared + 8 * surveyed.length;
  const share = rows.length / work;
  const settled = (rows.length + 2 * compared) / work;
  const before = checkpoint?.seconds ?? 0;
  let operations = checkpoint?.operations ?? 0;
  let last = began;
  try {
    // Where all was done before, nobody else says so.
    if (checkpoint?.done.size === rows.length && checked.onProgress) {
      const progress = new Progress(checked.onProgress);
      progress.report(share);
      await progress.finish();
    }
    const scores = await scoreRows(
      session,
      rows,
      plans,
      {
        ...part(checked, 0, share),
        scheme,
        memory: budget,
        onRows: async (indices, done, cost) => {
          const now = performance.now();
          operations += cost;
          await checkpoint?.add(indices, done, { operations: cost, seconds: (now - last) / 1000 });
          last = now;
        },
      },
      checkpoint?.done,
    );
    const precision =
      compared === 0
        ? undefined
        : await compareWithFloat32(session, rows, plans, scores, {
            ...part(checked, share, settled),
            rows: compared,
            scheme,
            memory: budget,
          });
    const found =
      surveyed.length === 0
        ? undefined
        : await survey(
            session,
            surveyed.map(({ tokens }) => tokens.slice(0, session.config.contextLength)),
            variants.map(({ plan }) => plan),
            part(checked, settled, 1),
          );
    const under = (plan: number) =>
      toScores(
        measures,
        scores.map((row) => row[plan] as RowScores),
        checked.metrics as Metric[],
      );
    return {
      base: under(0),
      variants: variants.map(({ variant }, index) => ({
        ...variant,
        ...under(index + 1),
        ...(found && { divergence: found.bypasses[index] as SurveyedBypass }),
      })),
      ...(found && { attention: found.attention }),
      ...(precision && { precision }),
      settings,
      cost: {
        seconds: before + (performance.now() - began) / 1000,
        operations,
        memory: budget,
        node: process.version,
      },
    };
  } finally {
    await checkpoint?.close();
  }
}
