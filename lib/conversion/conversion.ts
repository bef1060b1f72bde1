import type { WrittenBypass } from "../checkpoint/mark.js";
import type { ModelSource } from "../checkpoint/source.js";
import type { Dtype } from "../families/dtype.js";
import type { WrittenPlan } from "./written-plan.js";

/** A model to be written. */
export interface Conversion extends WrittenPlan {
  /** The path that the caller gave. */
  from: string;
  source: ModelSource;
  dtype: Dtype;
  /** Whether the model is that of a traced module which was not compared with its weights. */
  unchecked: boolean;
  /** All bypasses in the written weights: those of the source, and the new one. */
  bypasses: WrittenBypass[];
  /** The tokenizer that the caller chose instead of the model's: a tokenizer.json, or a folder. */
  tokenizer: string | undefined;
  /** The parsed tokenizer; undefined if the model has none. */
  tokenizerJson: object | undefined;
  allowNonFinite: boolean;
}
