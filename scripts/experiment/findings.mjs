// Two plain sentences on what was found, computed: they say it too where the paper's finding does not show.

export const percent = (share) => `${(100 * share).toFixed(share !== 0 && Math.abs(share) < 0.0995 ? 1 : 0)} %`;

function shareAt(extraction, repetitions) {
  const points = extraction.filter((point) => point.repetitions === repetitions);
  const sum = (field) => points.reduce((total, point) => total + point[field], 0);
  return points.length === 0 ? undefined : sum("count") / sum("rows");
}

function extracted({ extraction }) {
  const most = Math.max(...extraction.map((point) => point.repetitions));
  const control = shareAt(extraction, 0);
  return (
    `Unmodified, the model completes ${percent(shareAt(extraction, most))} of the secrets that it read ${most} times word for word` +
    (control === undefined ? "." : `, and ${percent(control)} of those that it never read.`)
  );
}

function compared(sweep) {
  const quartile = (number) => sweep.find((result) => result.quartile === number && result.mode === "zero");
  const [first, last] = [quartile(1), quartile(4)];
  if (last.memorizationKept === undefined)
    return "It completes none of the secrets swept, so no bypass can take them away.";
  if (last.abilityKept === undefined)
    return "It is no better than chance at any task, so no bypass can show what it costs.";
  const advantage = (result) => result.abilityKept - result.memorizationKept;
  const agrees = advantage(last) > 0 && advantage(last) > advantage(first);
  return (
    `Without the attention of its last quarter of blocks it keeps ${percent(last.memorizationKept)} of its memorization and ` +
    `${percent(last.abilityKept)} of its ability above chance; without that of its first quarter, ` +
    `${percent(first.memorizationKept)} and ${percent(first.abilityKept)}: here the deep blocks' attention ` +
    `${agrees ? "carries" : "does not carry"} more of what was memorized than of what the model can do.`
  );
}

export function findings({ base, sweep }) {
  return [extracted(base), compared(sweep)];
}
