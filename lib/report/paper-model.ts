import { paperModes } from "../paper/bypasses.js";
import { type PublishedModel, publishedWithShape } from "../paper/published.js";
import type { PaperResult } from "../paper/result.js";
import { chosenMetrics } from "../selectivity/metrics.js";
import type { Selectivity } from "../selectivity/result.js";
import { selectivityIn } from "../selectivity/selectivity.js";
import type { Bootstrap } from "../statistics/bootstrap.js";
import type { SweepResult } from "../sweep/result.js";
import { lateBlock } from "./late-block.js";
import { type RelativeResult, type RemainingShares, relativeToBase } from "./remaining.js";
import { type Setting, sameSetting } from "./setting.js";

/** A model of the experiment with what its sweep says about the paper's findings. */
export interface AnalysedModel {
  name: string;
  parameters: number;
  sweep: SweepResult;
  relative: RelativeResult;
  /** The settings of the sweep: attention in each mode, then the MLPs. */
  settings: Setting[];
  /** For each setting, the late block that removes memorization at the least cost. */
  lateBlocks: (RemainingShares | undefined)[];
  /** What bypasses remove from memorized rows and not from control rows. Absent without a control. */
  selectivity: Selectivity | undefined;
  /** The model of the paper with the same family and sizes. */
  published: PublishedModel | undefined;
}

/** Returns the settings of the variants, each once: attention first, and the paper's mode first. */
function settingsOf({ variants }: SweepResult): Setting[] {
  return (["attention", "mlp"] as const).flatMap((part) =>
    paperModes.map((mode) => ({ part, mode })).filter((setting) => variants.some(sameSetting(setting))),
  );
}

/** Returns what remains with a quarter of the blocks bypassed. */
export function quarter({ relative }: AnalysedModel, setting: Setting, number: number): RemainingShares | undefined {
  const isSame = sameSetting(setting);
  return relative.bypasses.find(({ variant }) => variant.quartile === number && isSame(variant));
}

/** Returns what remains under the late block of a setting. */
export function lateBlockOf({ settings, lateBlocks }: AnalysedModel, setting: Setting): RemainingShares | undefined {
  return lateBlocks[settings.findIndex(sameSetting(setting))];
}

/** Analyses the models of a checked result. */
export function analyse({ models }: PaperResult, bootstrap: Bootstrap): AnalysedModel[] {
  return models.map(({ name, parameters, sweep: own }) => {
    const sweep = own as unknown as SweepResult;
    const settings = settingsOf(sweep);
    return {
      name,
      parameters,
      sweep,
      relative: relativeToBase(sweep, bootstrap),
      settings,
      lateBlocks: settings.map((setting) => lateBlock(sweep, setting, bootstrap)),
      selectivity: sweep.base.control && selectivityIn(sweep, chosenMetrics(sweep)),
      published: publishedWithShape(sweep.settings.model.config),
    };
  });
}
