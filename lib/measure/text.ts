import { formatNumber, table } from "../display/text-form.js";
import { mean } from "../statistics/statistics.js";
import type { AttentionSurvey } from "./attention.js";
import type { Divergence } from "./divergence.js";

const shareText = (value: number) => `${(100 * value).toFixed(1)} %`;

/** What each block's attention and its heads add, as shares of the residual stream. */
export function attentionText({ blocks, tokens }: AttentionSurvey): string {
  const heads = blocks[0]?.heads.map((_, head) => `head ${head}`) ?? [];
  const rows = blocks.map(({ share, heads }, block) => [`block ${block}`, ...[share, ...heads].map(shareText)]);
  return `${table([["added, of the stream", "attention", ...heads], ...rows])}\nmeans over ${tokens} tokens\n`;
}

/** Means over the tokens, of each block from the first that is bypassed. */
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
