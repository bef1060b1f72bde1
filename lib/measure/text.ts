import { formatNumber, table } from "../display/text-form.js";
import { mean } from "../statistics/statistics.js";
import type { AttentionSurvey } from "./attention.js";
import type { Divergence } from "./divergence.js";

const shareText = (value: number) => `${(100 * value).toFixed(1)} %`;

/**
 * Returns a table of the norms of each block's attention output and of its heads, as shares of the residual stream's.
 */
export function attentionText({ blocks, tokens }: AttentionSurvey): string {
  const heads = blocks[0]?.heads.map((_, head) => `head ${head}`) ?? [];
  const rows = blocks.map(({ share, heads }, block) => [`block ${block}`, ...[share, ...heads].map(shareText)]);
  return `${table([["share of the stream", "attention", ...heads], ...rows])}\nmeans over ${tokens} tokens\n`;
}

/**
 * Returns a table of means over the tokens for each block from the first bypassed one on, and the change of the next
 * token.
 */
export function divergenceText({ blocks, output }: Divergence): string {
  const rows = blocks.map(({ block, stream, distance, bound }) => [
    `block ${block}`,
    ...[stream, distance, bound].map((values) => formatNumber(mean(values))),
  ]);
  const kl = `${formatNumber(mean(output.divergence))} nats, at most ${formatNumber(mean(output.bound))}`;
  return (
    `${table([["mean over tokens", "stream", "distance", "bound"], ...rows])}\nKL divergence of the next token: ${kl}; ` +
    `top-1 token changed: ${shareText(output.topTokenChanged)}, provably unchanged: ${shareText(output.topTokenProvenUnchanged)}\n`
  );
}
