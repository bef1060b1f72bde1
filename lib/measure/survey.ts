import type { NativePlan } from "../addon/native.js";
import { requireFinite } from "../errors/finite.js";
import { type OperationOptions, part } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import { mean } from "../statistics/statistics.js";
import { type BlockAttention, measureAttention } from "./attention.js";
import { type Divergence, diverge } from "./divergence.js";

/** How much a bypass changes the residual stream after one block. Values are means over tokens. */
export interface SurveyedBlock {
  /** The block's number. */
  block: number;
  /** The distance between the residual streams with and without the bypass, divided by the norm of the one without. */
  distance: number;
  /** The proven upper bound of `distance`. */
  bound: number;
  /**
   * The attention output that the bypass removes. Only for blocks whose whole attention is bypassed with the mode
   * "zero".
   */
  attention?: {
    /** The norm of the attention output. */
    contribution: number;
    /** The upper bound of that norm over all possible inputs. */
    bound: number;
  };
}

/** The divergence of a bypass as in `Divergence`, but as means over the tokens of several rows. */
export interface SurveyedBypass {
  /** The first bypassed block and all blocks after it. */
  blocks: SurveyedBlock[];
  /** The change of the next-token distribution. */
  output: {
    /** The KL divergence KL(p || q) in nats, where p is without the bypass and q with it. */
    divergence: number;
    /** The proven upper bound of `divergence`. */
    bound: number;
    /** The share of the positions where the most probable next token changes. */
    topTokenChanged: number;
    /** The share of the positions where the most probable next token is proven not to change. */
    topTokenProvenUnchanged: number;
  };
}

export interface Survey {
  /** The attention output of each block. */
  attention: BlockAttention[];
  /** The divergence of each bypass. */
  bypasses: SurveyedBypass[];
}

/** Returns the means over the tokens of several rows. */
function meanOver(rows: readonly Divergence[]): SurveyedBypass {
  const [first] = rows as [Divergence];
  const blocks = first.blocks.map(({ block, attention }, place): SurveyedBlock => {
    const inRows = rows.map(({ blocks }) => blocks[place] as Divergence["blocks"][number]);
    const relative = (field: "distance" | "bound") =>
      mean(
        inRows.flatMap(({ stream, [field]: values }) =>
          values.map((value, token) => value / (stream[token] as number)),
        ),
      );
    const contributions = inRows.flatMap(({ attention }) => attention?.contribution ?? []);
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

/** Measures attention outputs and the divergence of each plan over rows of tokens. */
export async function survey(
  session: Session,
  rows: readonly Int32Array[],
  plans: readonly NativePlan[],
  options: OperationOptions,
): Promise<Survey> {
  // Measuring attention outputs is a small part of the work.
  const { blocks } = await measureAttention(session, rows, part(options, 0, 0.02));
  const divergences = await diverge(session, rows, plans, part(options, 0.02, 1));
  const bypasses = plans.map((_, plan) =>
    requireFinite(meanOver(divergences.map((row) => row[plan] as Divergence)), "the survey"),
  );
  return { attention: blocks, bypasses };
}
