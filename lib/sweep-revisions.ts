import * as v from "valibot";
import { type BypassMeans, meansSchema } from "./bypass/bypass.js";
import { withText } from "./display/text-form.js";
import { invalidArgument, pathText, validate, valuesFor } from "./errors/validation.js";
import { findModel, isOnHub } from "./hub/model-reference.js";
import { hubEntries } from "./hub/options.js";
import { type LoadModelOptions, loadModel, loadModelSchema } from "./load-model.js";
import type { DefaultMemorizationMetric, MemorizationMetric } from "./metrics/memorization-scores.js";
import type { Model } from "./model.js";
import { type OperationOptions, part, rising } from "./operation/operation.js";
import type { Checkpoints } from "./revisions/checkpoints.js";
import { FolderCheckpoints } from "./revisions/folder-checkpoints.js";
import { type RevisionsResult, revisionsFormat } from "./revisions/result.js";
import { sweepCheckpoints } from "./revisions/sweep-checkpoints.js";
import { revisionsText } from "./revisions/text.js";
import { type SweepOptions, sweepOptions } from "./sweep/options.js";
import { hashOptions, ResumeFolder } from "./sweep/resume-folder.js";

/**
 * Options of `sweepRevisions`: which checkpoints, how to find and load each of them, and what to measure. At least one
 * of `samples`, `text` and `tasks` is required.
 */
export interface SweepRevisionsOptions<Metric extends MemorizationMetric = DefaultMemorizationMetric>
  extends Omit<SweepOptions<Metric>, "means" | "resume">,
    Omit<LoadModelOptions, "revision"> {
  /**
   * The revisions to measure: names of branches or tags, commits, and patterns such as "step*000", in which `*` stands
   * for any characters. For a folder, the names of the folders in it. Each revision may be chosen once.
   */
  revisions: string | readonly string[];
  /**
   * The mean outputs for the mode "mean", or a function that measures them on each model, such as
   * `async (model) => (await model.attention(samples)).means`.
   */
  means?: BypassMeans | ((model: Model) => Promise<BypassMeans>);
  /**
   * Keep the downloads of this call in the cache. If false, each is removed after its sweep, since the checkpoints of a
   * training often need more space than the disk has. What was in the cache before the call always stays. Defaults to
   * false.
   */
  keep?: boolean;
  /**
   * The path of a folder that saves finished revisions and the finished rows of the current one. If it exists, the call
   * continues from it; it may then also have other `revisions`. Defaults to none.
   */
  resume?: string;
}

const { revision: _, ...hub } = hubEntries;
const { revision: __, ...loading } = loadModelSchema.entries;
const name = v.pipe(v.string(), v.nonEmpty("a name or a pattern"));

const schema = v.strictObject({
  ...loading,
  ...sweepOptions.entries,
  ...hub,
  revisions: v.union(
    [name, v.pipe(v.array(name), v.nonEmpty())],
    "a name or a pattern that is not empty, or an array of at least one of these",
  ),
  means: v.optional(
    v.union(
      [meansSchema, v.function() as v.GenericSchema<(model: Model) => Promise<BypassMeans>>],
      "means, or a function that measures them",
    ),
  ),
  keep: v.optional(v.boolean(), false),
});

type Checked = v.InferOutput<typeof schema>;

/** The options that do not change what is measured. */
const irrelevant = [
  "signal",
  "onProgress",
  "revisions",
  "keep",
  "resume",
  "memory",
  "threads",
  "offload",
  ...Object.keys(hub),
];

/** The share of the progress of a revision that loading takes. */
const loaded = 0.1;

/** Returns the revisions of a model on the hub, or the folders in an existing folder. */
async function findCheckpoints(id: string, checked: Checked): Promise<Checkpoints> {
  if (!(await isOnHub(id))) return new FolderCheckpoints((await findModel(id)).path, checked.key);
  if (id.includes("@")) throw invalidArgument("id", "the name of a model without a revision", id);
  // Loaded only here, because the modules for networks are slow to load.
  const { HubCheckpoints } = await import("./revisions/hub-checkpoints.js");
  return new HubCheckpoints(id, valuesFor(hub, checked), checked.keep);
}

async function measure(folder: string, checked: Checked, resume: string | undefined, operation: OperationOptions) {
  await using model = await loadModel(folder, { ...valuesFor(loading, checked), ...part(operation, 0, loaded) });
  const means = typeof checked.means === "function" ? await checked.means(model) : checked.means;
  return await model.sweep({
    ...valuesFor(sweepOptions.entries, checked),
    ...(means && { means }),
    ...(resume !== undefined && { resume }),
    ...part(operation, loaded, 1),
  });
}

/**
 * Measures checkpoints of one training with the same sweep: revisions of a model on the Hugging Face hub, or the
 * folders in a folder, if `id` is an existing path. Revisions with the same weight files are measured once. Downloads
 * are removed unless `keep` is set. Throws what `download`, `loadModel` and `model.sweep` throw, with the name of the
 * revision, INVALID_ARGUMENT for a pattern without a match or a revision that is chosen twice, REVISIONS_DIFFER for
 * revisions whose tokenizers make different rows of the samples, RESUME_FILE_INVALID and RESUME_FILE_MISMATCH.
 */
export async function sweepRevisions<Metric extends MemorizationMetric = DefaultMemorizationMetric>(
  id: string,
  options: SweepRevisionsOptions<Metric>,
): Promise<RevisionsResult<Metric>> {
  validate(pathText, id, "id");
  const checked = validate(schema, options, "options");
  checked.signal?.throwIfAborted();
  const relevant = Object.entries(checked).filter(([name]) => !irrelevant.includes(name));
  const revisions = await sweepCheckpoints(await findCheckpoints(id, checked), {
    ...rising(checked),
    requested: [checked.revisions].flat(),
    keep: checked.keep,
    resume:
      checked.resume === undefined
        ? undefined
        : await ResumeFolder.open(checked.resume, "revisions", hashOptions(Object.fromEntries(relevant))),
    measure: (folder, resume, operation) => measure(folder, checked, resume, operation),
  });
  const result: RevisionsResult = { format: revisionsFormat, model: id, revisions };
  return withText(result, revisionsText) as unknown as RevisionsResult<Metric>;
}
