import type { NativePlan } from "../addon/native.js";
import { requireFinite } from "../errors/finite.js";
import { type OperationOptions, part } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import { mean } from "../statistics/statistics.js";
import { type BlockAttention, measureAttention } from "./attention.js";
import { type Divergence, diverge } from "./divergence.js";

/** How far a bypass takes the residual stream after one block. Means over tokens. */
export interface SurveyedBlock {
  /** The block's number. */
  block: number;
  /** The distance between the streams with and without the bypass, as a share of the norm of the one without. */
  distance: number;
  /** What that is proven not to exceed. */
  bound: number;
  /** Of blocks whose attention is bypassed as a whole by the mode "zero". */
  attention?: {
    /** The norm of what attention adds. */
    contribution: number;
    /** What that is proven not to exceed on any input whatever. */
    bound: number;
  };
}

/** What `model.divergence` gives for a bypass, as means over the tokens of several rows. */
export interface SurveyedBypass {
  /** The first block that is bypassed, and those after it. */
  blocks: SurveyedBlock[];
  /** Of the next token after each. */
  output: {
    /** KL(p || q) in nats, p without and q with the bypass. */
    divergence: number;
    /** What it is proven not to exceed. */
    bound: number;
    /** The share of the positions at which the most probable next token changes. */
    topTokenChanged: number;
    /** The share of the positions at which it is proven not to change. */
    topTokenProvenUnchanged: number;
  };
}

export interface Survey {
  /** What attention adds, for each block. */
  attention: BlockAttention[];
  /** For each bypass. */
  bypasses: SurveyedBypass[];
}

/** The same of several rows: their values side by side. */
function join(rows: readonly Divergence[]): SurveyedBypass {
  const [first] = rows as [Divergence];
  const blocks = first.blocks.map(({ block, attention }, place): SurveyedBlock => {
    const here = rows.map(({ blocks }) => blocks[place] as Divergence["blocks"][number]);
    const relative = (field: "distance" | "bound") =>
      mean(
        here.flatMap(({ stream, [field]: values }) => values.map((value, token) => value / (stream[token] as number))),
      );
    const contributions = here.flatMap(({ attention }) => attention?.contribution ?? []);
    return {
      block,
      distance: relative("distance"),
      bound: relative("bound"),
      ...(attention && { attention: { contribution: mean(contributions), bound: attention.bound } }),
    };
  });
  const tokens = rows.map(({ output }) => output.divergence.length);
  const total = tokens.reduce((sum, count) => sum + count, 0);
  const shareOf = (field: "topTokenChanged" | "topTokenProvenUnchanged") =>
    rows.reduce((sum, { output }, row) => sum + output[field] * (tokens[row] as number), 0) / total;
  return {
    blocks,
    output: {
      divergence: mean(rows.flatMap(({ output }) => output.divergence)),
      bound: mean(rows.flatMap(({ output }) => output.bound)),
      topTokenChanged: shareOf("topTokenChanged"),
      topTokenProvenUnchanged: shareOf("topTokenProvenUnchanged"),
    },
  };
}

/** What attention adds to rows of tokens, and how far each plan takes the model. */
export async function survey(
  session: Session,
  rows: readonly Int32Array[],
  plans: readonly NativePlan[],
  options: OperationOptions,
): Promise<Survey> {
  // What attention adds is a small part of the work.
  const { blocks } = await measureAttention(session, rows, part(options, 0, 0.02));
  const divergences = await diverge(session, rows, plans, part(options, 0.02, 1));
  const bypasses = plans.map((_, plan) =>
    requireFinite(join(divergences.map((row) => row[plan] as Divergence)), "the survey"),
  );
  return { attention: blocks, bypasses };
}
