import path from "node:path";
import * as v from "valibot";
import type { Samples } from "../data/samples.js";
import { invalidArgument, pathText, reading, wholeNumber } from "../errors/validation.js";

/** A model of the experiment, with samples of its own if it has its own tokenizer. */
export interface PaperModel {
  /** The path of the model, or its name on the hub: org/name or org/name@revision. */
  model: string;
  /** The name of the model in reports. Defaults to the last part of `model`, or all of it if two models share that. */
  name?: string;
  /** The samples of this model. Defaults to the option `samples`. */
  samples?: Samples;
  /** The control rows of this model. Defaults to the option `control`. */
  control?: Samples;
  /**
   * The number of tokens in the prefix of these samples, unless they are two files. Defaults to the option
   * `prefixLength`.
   */
  prefixLength?: number;
}

/** What all models have that do not have their own. */
export interface SharedSamples {
  samples?: unknown;
  control?: unknown;
  prefixLength?: number | undefined;
}

const modelSchema = v.strictObject({
  model: pathText,
  name: v.optional(v.pipe(v.string(), v.nonEmpty("a name"))),
  samples: v.optional(v.unknown()),
  control: v.optional(v.unknown()),
  prefixLength: v.optional(wholeNumber(1)),
});

const reference = v.union([pathText], "the path or the name of a model, or an object with it as `model`");

export const modelList = v.pipe(
  v.array(v.lazy((value) => (typeof value === "object" && value !== null ? modelSchema : reference))),
  v.nonEmpty("at least one model"),
);

/** A model of the experiment with everything that its sweep needs. */
export interface ExperimentModel {
  model: string;
  name: string;
  samples: Samples;
  control: Samples | undefined;
  prefixLength: number | undefined;
}

/** Returns whether samples are two arrays, to which `prefixLength` does not apply. */
const isPair = (samples: unknown): boolean =>
  reading("samples", () => typeof samples === "object" && samples !== null && "prefixes" in samples);

const lastPart = (reference: string) => path.basename(path.resolve(reference));

/**
 * Returns the models with their names and samples. Throws INVALID_ARGUMENT if a model has no samples, or if two have the
 * same name.
 */
export function toModels(list: v.InferOutput<typeof modelList>, shared: SharedSamples): ExperimentModel[] {
  const given = list.map((one) => (typeof one === "string" ? { model: one } : one));
  const parts = given.map(({ model }) => lastPart(model));
  const models = given.map((one, index) => {
    const place = `options.models[${index}]`;
    const samples = one.samples ?? shared.samples;
    if (samples === undefined) {
      throw invalidArgument("options.samples", `samples, or samples for ${one.model}`, samples);
    }
    const control = one.control ?? shared.control;
    const divided = isPair(samples) && (control === undefined || isPair(control));
    const unique = parts.filter((part) => part === parts[index]).length === 1;
    return {
      place,
      model: one.model,
      name: one.name ?? (unique ? (parts[index] as string) : one.model),
      samples: samples as Samples,
      control: control as Samples | undefined,
      prefixLength: divided ? undefined : (one.prefixLength ?? shared.prefixLength),
    };
  });
  const names = models.map(({ name }) => name);
  return models.map(({ place, ...one }, index) => {
    if (names.indexOf(one.name) === index) return one;
    throw invalidArgument(`${place}.name`, "models with different names", one.name);
  });
}
