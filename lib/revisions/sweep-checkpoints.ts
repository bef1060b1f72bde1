import { naming } from "../errors/naming.js";
import { complete, type OperationOptions, part } from "../operation/operation.js";
import type { SweepResult } from "../sweep/result.js";
import type { ResumeFolder } from "../sweep/resume-folder.js";
import { type Checkpoint, type Checkpoints, weightsKey } from "./checkpoints.js";
import { chooseNames } from "./pattern.js";
import type { SweptRevision } from "./result.js";
import { requireSameSweep } from "./same-sweep.js";
import { byStep, trainingStep } from "./training-step.js";

/** How to sweep the checkpoints of a training. */
export interface CheckpointSweep extends OperationOptions {
  /** Names and patterns of the checkpoints. */
  requested: readonly string[];
  /** Whether downloads stay in the cache. */
  keep: boolean;
  resume: ResumeFolder | undefined;
  /** Loads and sweeps the checkpoint in a folder. `resume` is the path of the sweep's resume file. */
  measure(folder: string, resume: string | undefined, operation: OperationOptions): Promise<SweepResult>;
}

/** The share of the progress of a checkpoint that its download takes. */
const downloaded = 0.3;

/**
 * Downloads and measures a checkpoint. Removes the download afterwards if this call has made it, or the interrupted one
 * that it continues; what was in the cache before stays.
 */
async function measureOne(
  checkpoints: Checkpoints,
  checkpoint: Checkpoint,
  { keep, resume, measure }: CheckpointSweep,
  operation: OperationOptions,
): Promise<SweepResult> {
  const key = weightsKey(checkpoint);
  if (keep) await resume?.forgetDownload(key);
  const before = await resume?.finished(key);
  const own = resume?.hasDownload(key) || (!keep && before === undefined && (await checkpoints.isAbsent(checkpoint)));
  const clean = async () => {
    if (own) await checkpoints.remove(checkpoint);
    await resume?.forgetDownload(key);
  };
  if (before !== undefined) {
    await clean();
    return before;
  }
  if (own) await resume?.markDownload(key);
  try {
    const folder = await checkpoints.fetch(checkpoint, part(operation, 0, downloaded));
    const sweep = await measure(folder, resume?.sweepFile(key), part(operation, downloaded, 1));
    await resume?.finish(key, sweep);
    await clean();
    return sweep;
  } catch (error) {
    // A call that continues from a resume folder needs the download again.
    if (resume === undefined) await clean();
    throw error;
  }
}

/** Finds the requested checkpoints, with the hashes of their weights, before any is downloaded. */
async function findAll(checkpoints: Checkpoints, { requested, signal }: CheckpointSweep) {
  const names = await chooseNames(requested, () => checkpoints.list({ signal }));
  const found: (Checkpoint & { step?: number })[] = [];
  for (const name of names) {
    signal?.throwIfAborted();
    const step = trainingStep(name);
    const checkpoint = await naming(`revision ${name}`, checkpoints.find(name, { signal }));
    found.push({ ...checkpoint, ...(step !== undefined && { step }) });
  }
  return byStep(found);
}

/**
 * Sweeps the requested checkpoints in the order of their training steps. Those with the weights of an earlier one are
 * not measured again.
 */
export async function sweepCheckpoints(checkpoints: Checkpoints, options: CheckpointSweep): Promise<SweptRevision[]> {
  const found = await findAll(checkpoints, options);
  const count = new Set(found.map(weightsKey)).size;
  const measured = new Map<string, { name: string; sweep: SweepResult }>();
  const revisions: SweptRevision[] = [];
  for (const { name, step, commit, weights } of found) {
    const checkpoint: Checkpoint = { name, ...(commit !== undefined && { commit }), weights };
    const identity = { ...checkpoint, ...(step !== undefined && { step }) };
    const key = weightsKey(checkpoint);
    const same = measured.get(key);
    if (same !== undefined) {
      revisions.push({ ...identity, sameWeightsAs: same.name });
      continue;
    }
    const operation = part(options, measured.size / count, (measured.size + 1) / count);
    const sweep = await naming(`revision ${name}`, measureOne(checkpoints, checkpoint, options, operation));
    const [first] = measured.values();
    if (first !== undefined) requireSameSweep(first, { name, sweep });
    measured.set(key, { name, sweep });
    await complete(operation);
    revisions.push({ ...identity, sweep });
  }
  return revisions;
}
