import * as v from "valibot";
import { type Task, taskSchema } from "./benchmark/task.js";
import { benchmarkNames } from "./benchmark/task-definition.js";
import { openSource } from "./checkpoint/source.js";
import type { Samples } from "./data/samples.js";
import { withText } from "./display/text-form.js";
import { AttentionBypassError } from "./errors/errors.js";
import { naming } from "./errors/naming.js";
import { invalidArgument, pathText, validate, valuesFor, wholeNumber } from "./errors/validation.js";
import { parameterCount } from "./families/parameter-count.js";
import { isOnHub } from "./hub/model-reference.js";
import { type LoadModelOptions, loadModel, loadModelSchema } from "./load-model.js";
import { complete, type OperationOptions, part, rising } from "./operation/operation.js";
import { type PaperMode, paperBypasses, paperModes } from "./paper/bypasses.js";
import { type ExperimentModel, modelList, type PaperModel, toModels } from "./paper/models.js";
import { requireInputs } from "./paper/require-inputs.js";
import { type MeasuredModel, type PaperMetric, type PaperResult, paperFormat, paperMetrics } from "./paper/result.js";
import { paperText } from "./paper/text.js";
import { hashFile } from "./scoring/fingerprint.js";
import { sweepOptions } from "./sweep/options.js";
import type { SweepResult } from "./sweep/result.js";
import { hashOptions, ResumeFolder } from "./sweep/resume-folder.js";

/** Options of `reproducePaper`: the models, how to load each of them, and what to measure. */
export interface PaperOptions extends LoadModelOptions {
  /** The models: paths, names on the hub, or objects for models with samples of their own. */
  models: readonly (string | PaperModel)[];
  /**
   * The samples for all models without their own, as for `scoreMemorization`. Token ids are those of one tokenizer;
   * text suits every model. Required unless each model has its own.
   */
  samples?: Samples;
  /** Control rows for all models without their own: rows of the same form that no model has memorized. */
  control?: Samples;
  /**
   * The number of tokens at the beginning of each sample that form the prefix, for all models without their own.
   * Required for samples that do not contain it.
   */
  prefixLength?: number;
  /** The benchmarks: tasks as for `benchmark`. Defaults to the five of `benchmarkNames`. */
  tasks?: readonly (string | Task)[];
  /**
   * The folder with the rows of the tasks that are given by name. With one such task, also the path of its file. Required
   * for such tasks.
   */
  data?: string;
  /** Ask only this many rows, from the first on, of each task that is given by name. Defaults to all. */
  taskRows?: number;
  /** The modes in which attention is bypassed. The paper's is "short-circuit". Defaults to both. */
  mode?: PaperMode | readonly PaperMode[];
  /**
   * The number of random sets of blocks, each of the size of the last quarter, whose attention is bypassed for comparison.
   * With control rows, at least 19 show whether the last quarter stands out. Defaults to none.
   */
  randomSets?: number;
  /** Score only this many samples, and this many control rows, from the first on. Defaults to all. */
  rows?: number;
  /** The memory budget in bytes, in addition to the weights, as for `model.sweep`. */
  memory?: number;
  /** The number of rows that are scored in float32 too, for other dtypes, as for `model.sweep`. */
  compareRows?: number;
  /**
   * The path of a folder that saves the result of each finished model and the finished rows of the current one. If it
   * exists, the call continues from it; it may then also have other `models`. Defaults to none.
   */
  resume?: string;
}

const { rows, memory, compareRows } = sweepOptions.entries;
const modes = v.picklist(paperModes);

const schema = v.strictObject({
  ...loadModelSchema.entries,
  models: modelList,
  samples: v.optional(v.unknown()),
  control: v.optional(v.unknown()),
  prefixLength: v.optional(wholeNumber(1)),
  tasks: v.optional(v.pipe(v.array(v.union([pathText, taskSchema], "a task's name or a task")), v.nonEmpty()), [
    ...benchmarkNames,
  ]),
  data: v.optional(pathText),
  taskRows: v.optional(wholeNumber(1)),
  mode: v.optional(
    v.union(
      [modes, v.pipe(v.array(modes), v.nonEmpty("at least one mode"))],
      '"short-circuit", "zero" or an array of them',
    ),
    [...paperModes],
  ),
  randomSets: v.optional(wholeNumber(0), 0),
  rows,
  memory,
  compareRows,
  resume: v.optional(pathText),
});

type Checked = v.InferOutput<typeof schema>;

/** The options that determine the measurements of every model, with the mode and the tasks. */
const relevant = ["randomSets", "rows", "compareRows", "device", "dtype", "key", "tokenizer"] as const;

/** The completed fraction of a model when it is loaded. */
const loaded = 0.1;

function toTasks({ tasks, data, taskRows }: Checked): Task[] {
  return (tasks as (string | Task)[]).map((task) => {
    if (typeof task !== "string") return task;
    if (data === undefined) throw invalidArgument("options.data", `the folder or file with the rows of ${task}`, data);
    return { definition: task, data, ...(taskRows !== undefined && { rows: taskRows }) };
  });
}

/** Loads a model, sweeps it and disposes of it. */
async function measure(
  { model: reference, samples, control, prefixLength }: ExperimentModel,
  checked: Checked,
  tasks: Task[],
  resume: string | undefined,
  operation: OperationOptions,
): Promise<SweepResult<PaperMetric>> {
  await using model = await loadModel(reference, {
    ...valuesFor(loadModelSchema.entries, checked),
    ...part(operation, 0, loaded),
  });
  return await model.sweep({
    ...valuesFor(sweepOptions.entries, { ...checked, control, prefixLength, resume }),
    ...part(operation, loaded, 1),
    samples,
    tasks,
    over: paperBypasses(model.config.blockCount, checked.randomSets),
    metrics: paperMetrics,
  });
}

/** Checks that the weights in a path are those of an earlier result. A revision on the hub is known by its name. */
async function requireSameWeights(
  model: string,
  checked: Checked,
  { settings }: SweepResult<PaperMetric>,
): Promise<void> {
  if (await isOnHub(model)) return;
  const { weights } = await openSource(model, { key: checked.key });
  const hashes: string[] = [];
  for (const file of weights.files) hashes.push((await hashFile(file, checked.signal)).sha256);
  if (hashes.join() === settings.model.files.map(({ sha256 }) => sha256).join()) return;
  throw new AttentionBypassError(
    "RESUME_FILE_MISMATCH",
    `expected the weights of ${model} to be those of its result in ${checked.resume} but they differ; use another folder`,
  );
}

/**
 * Runs the paper's experiment on each model, one after the other: memorization and benchmarks without a bypass, with the
 * attention of each block and of each quarter of the blocks bypassed, in the paper's mode "short-circuit" and in the mode
 * "zero", and with the MLPs of the same blocks bypassed. docs/paper.md says what is the same as in the paper. Missing
 * files are errors before any model is loaded. Throws what `loadModel` and `model.sweep` throw, with the name of the
 * model, INVALID_ARGUMENT, FILE_NOT_FOUND, RESUME_FILE_INVALID and RESUME_FILE_MISMATCH.
 */
export async function reproducePaper(options: PaperOptions): Promise<PaperResult> {
  const checked = validate(schema, options, "options");
  checked.signal?.throwIfAborted();
  const models = toModels(checked.models, checked);
  const tasks = toTasks(checked);
  await requireInputs(models, tasks, checked.revision);
  const folder =
    checked.resume === undefined
      ? undefined
      : await ResumeFolder.open(
          checked.resume,
          "paper",
          hashOptions({
            ...Object.fromEntries(relevant.map((name) => [name, checked[name]])),
            mode: [checked.mode].flat(),
            tasks,
          }),
        );
  const operation = rising(checked);
  const measured: MeasuredModel[] = [];
  for (const [index, one] of models.entries()) {
    const { name, model, samples, control, prefixLength } = one;
    const key = JSON.stringify(hashOptions({ model, revision: checked.revision, samples, control, prefixLength }));
    const own = part(operation, index / models.length, (index + 1) / models.length);
    const sweepModel = async () => {
      const before = await folder?.finished(key);
      if (before !== undefined) {
        await requireSameWeights(model, checked, before);
        return before;
      }
      const sweep = await measure(one, checked, tasks, folder?.sweepFile(key), own);
      await folder?.finish(key, sweep as SweepResult);
      return sweep;
    };
    const sweep = await naming(`model ${name}`, sweepModel());
    await complete(own);
    measured.push({ name, model, parameters: parameterCount(sweep.settings.model.config), sweep });
  }
  return withText({ format: paperFormat, models: measured }, paperText);
}
