import type { NativePlan } from "../addon/native.js";
import { toPlan } from "../bypass/bypass.js";
import { type BypassedParts, bypassedIn, nameOf } from "../bypass/bypassed-parts.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { ModelConfig } from "../families/config.js";

/** The formats that `convert` writes. */
export const formats = ["torchscript", "checkpoint"] as const;

/** A format that `convert` writes: one TorchScript archive, or a Hugging Face checkpoint folder. */
export type Format = (typeof formats)[number];

/** What is written of a bypass: weights, and heads that attend only to the token itself. */
export interface WrittenPlan {
  plan: NativePlan;
  /** The config of the written model. */
  config: ModelConfig;
  /** Whether the written model gets attention biases of zeros, to which a mean output is added. */
  zeroAttentionBias: boolean;
  /** Undefined if nothing is bypassed. */
  bypassed: BypassedParts | undefined;
}

/** Returns the heads of the written model that attend only to the token itself, by block. */
function shortCircuits(plan: NativePlan, { shortCircuit = {}, headCount }: ModelConfig): Record<number, number[]> {
  const heads = Array.from({ length: headCount }, (_, head) => head);
  const all = plan.map(({ mode, heads: chosen }, block) =>
    heads.filter((head) => {
      const bypassed = mode !== "none" && (chosen.length === 0 || chosen[head] !== 0);
      return bypassed ? mode === "short-circuit" : (shortCircuit[block] ?? []).includes(head);
    }),
  );
  return Object.fromEntries(all.flatMap((some, block) => (some.length > 0 ? [[block, some]] : [])));
}

const refused = (message: string) => new AttentionBypassError("INVALID_ARGUMENT", message);

/** Throws if the bypass can't be written as the weights of a Hugging Face checkpoint. */
function requireWeights(plan: NativePlan, model: ModelConfig, circuits: Record<number, number[]>, bias: boolean): void {
  if (Object.keys(circuits).length > 0) {
    const asked = plan.some(({ mode }) => mode === "short-circuit");
    const received = asked
      ? 'received "short-circuit" for bypass.mode'
      : `the model has the short circuits of ${nameOf([], circuits)}`;
    throw refused(
      `expected only the modes "zero" and "mean" in a checkpoint, since no weights have the effect of a short circuit, but ${received}; ` +
        'use the format "torchscript"',
    );
  }
  if (!bias && plan.some(({ mode }) => mode === "mean")) {
    throw refused(
      `expected the mode "zero" for bypass.mode, since the attention of this ${model.family} model has no biases ` +
        '(attention_bias in config.json is false) that could hold a mean output, but received "mean"; ' +
        'use the format "torchscript"',
    );
  }
}

/** Returns what is written of a bypass. Throws the codes of `Bypass`, and INVALID_ARGUMENT for what can't be written. */
export function toWrittenPlan(bypass: unknown, model: ModelConfig, format: Format): WrittenPlan {
  const plan = toPlan(bypass, model, "options.bypass");
  const circuits = shortCircuits(plan, model);
  // The output projections of the other families always have a bias.
  const bias = model.family !== "gpt-neox" || model.attentionBias;
  if (format === "checkpoint") requireWeights(plan, model, circuits, bias);
  const { blocks, heads } = bypassedIn(plan);
  const hasHeads = Object.keys(heads).length > 0;
  const { part = "attention", mode = "zero" } = (bypass ?? {}) as Partial<BypassedParts>;
  const { shortCircuit: _, ...config } = model;
  return {
    plan,
    config: Object.keys(circuits).length > 0 ? { ...config, shortCircuit: circuits } : config,
    zeroAttentionBias: !bias && plan.some(({ mode }) => mode === "mean"),
    bypassed: blocks.length > 0 || hasHeads ? { part, blocks, ...(hasHeads && { heads }), mode } : undefined,
  };
}
