import type { Task } from "../benchmark/task.js";
import { requireTask } from "../benchmark/task-definition.js";
import { reading } from "../errors/validation.js";
import { InputFile, type Purpose, samplesPurpose, taskRowsPurpose } from "../files/input-file.js";
import { findModel, isOnHub } from "../hub/model-reference.js";
import type { ExperimentModel } from "./models.js";

async function requireFile(file: string, purpose: Purpose): Promise<void> {
  await using _ = await InputFile.open(file, purpose);
}

/** Returns the paths in samples: a path, or two paths. Rows in memory have none. */
function filesOf(samples: unknown): string[] {
  if (typeof samples === "string") return [samples];
  if (typeof samples !== "object" || samples === null || reading("samples", () => Array.isArray(samples))) return [];
  return reading("samples", () => Object.values(samples).filter((value) => typeof value === "string"));
}

/**
 * Checks that the models in folders, the samples, the control rows and the rows of the tasks exist, so that hours of work
 * do not end with a missing file. Throws FILE_NOT_FOUND, TASK_INVALID, SAMPLES_INVALID, INVALID_ARGUMENT.
 */
export async function requireInputs(
  models: readonly ExperimentModel[],
  tasks: readonly Task[],
  revision: string | undefined,
): Promise<void> {
  for (const { model, samples, control } of models) {
    if (!(await isOnHub(model))) await findModel(model, { revision });
    for (const file of [...filesOf(samples), ...filesOf(control)]) await requireFile(file, samplesPurpose);
  }
  for (const task of tasks) {
    if ("definition" in task) await requireTask(task.definition, task.data);
    else if (typeof task.questions === "string") await requireFile(task.questions, taskRowsPurpose);
  }
}
