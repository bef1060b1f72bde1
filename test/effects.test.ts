// Effects are what separate calls give, in batches of any size, from weights anywhere; and what a report says of them.
import { writeFile } from "node:fs/promises";
import { inspect } from "node:util";
import {
  type Bypass,
  type BypassEffects,
  type Contributions,
  createEffectsReport,
  drawFigure,
  type EffectsResult,
  type Interval,
  loadModel,
} from "attention-bypass";
import t, { type Test } from "tap";
import { attentionBypass } from "./support/command-line.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";
import { refusedBy } from "./support/refusals.ts";

t.setTimeout(300_000);
const here = { device: "cpu", threads: 1 } as const;
const parts = ["attention", "mlp", "both"] as const;
/** Serial and parallel blocks, tied and untied, local attention, learned and rotary positions. */
const names = ["neox-serial", "neox-no-attention-bias", "neox-tied", "neo-types", "neo-untied", "gpt2"];

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const inOrder = ({ embedding, attention, mlp, shift }: Contributions) => [embedding, ...attention, ...mlp, shift];

t.test("contributions sum to the logit, and effects to scores of separate calls", async (t) => {
  for (const name of names) {
    await using model = await loadModel(fixture(name), here);
    const { vocabularySize, blockCount } = model.config;
    const row = randomTokens(14, vocabularySize, 5);
    const prefixLength = 6;
    const { base, bypasses } = await model.effects([row], { prefixLength, part: parts });
    t.equal(bypasses.length, 3 * blockCount);
    const scored = row.slice(prefixLength);
    const trueLogit = async (bypass?: Bypass) => {
      const { data } = await model.logits([row], bypass ? { bypass } : {});
      return sum(scored.map((token, at) => data[(prefixLength + at - 1) * vocabularySize + token] as number));
    };
    const options = { prefixLength, metrics: ["suffixLogLikelihood"] } as const;
    const { suffixLogLikelihood: before } = await model.scoreMemorization([row], options);
    const logit = await trueLogit();
    const near = (ours: number, theirs: number, size: number, what: string) =>
      t.ok(Math.abs(ours - theirs) <= 1e-4 * Math.abs(size), `${name}: ${what}: ${ours} and ${theirs}`);
    near(sum(inOrder(base.contributions)), logit, logit, "the sum without a bypass");
    for (const one of bypasses) {
      const { blocks, part, mode, contributions, changes, logLikelihood } = one;
      const what = `${one.name}, ${mode}`;
      const bypass = { blocks, part, mode };
      const bypassed = await trueLogit(bypass);
      near(sum(inOrder(contributions)), bypassed, bypassed, `${what}: the sum`);
      near(one.logit.total.value, bypassed - logit, logit, `${what}: total effect on the logit`);
      const { suffixLogLikelihood: after } = await model.scoreMemorization([row], { ...options, bypass });
      near(logLikelihood.total.value, after - before, before, `${what}: total effect`);
      near(logLikelihood.compensation.value, logLikelihood.total.value - logLikelihood.direct.value, before, what);
      const frozen = sum(changes.map(({ changeFrozen }) => changeFrozen.value));
      near(one.logit.total.value, frozen + one.logit.norm.value, logit, `${what}: changes and the norm`);
      const direct = changes.filter((change) => change.bypassed);
      t.equal(direct.length, part === "both" ? 2 : 1);
      near(one.logit.directFrozen.value, sum(direct.map((change) => change.changeFrozen.value)), logit, what);
      const frozenRest = one.logit.total.value - one.logit.directFrozen.value;
      near(one.logit.compensationFrozen.value, frozenRest, logit, what);
    }
  }
});

/** The numbers of a result in one list. */
function numbersOf(value: unknown): number[] {
  if (typeof value === "number") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(numbersOf) : [];
}

function same(t: Test, one: EffectsResult, other: EffectsResult, tolerance: number, name: string) {
  const [ours, theirs] = [one, other].map(({ base, bypasses }) => numbersOf({ base, bypasses })) as [
    number[],
    number[],
  ];
  const most = Math.max(...theirs.map(Math.abs));
  const off = Math.max(...theirs.map((value, index) => Math.abs(value - (ours[index] as number))));
  t.equal(ours.length, theirs.length, name);
  t.ok(off <= tolerance * most, `${name}: off by ${off} of ${most}`);
}

t.test("the same in groups of plans, with offloaded weights, and nearly in bfloat16", async (t) => {
  await using model = await loadModel(fixture("neox-serial"), here);
  const samples = [8, 12, 9, 12].map((length, seed) => randomTokens(length, model.config.vocabularySize, seed));
  const options = { prefixLength: 4, part: parts, mode: "zero" } as const;
  const result = await model.effects(samples, options);
  same(t, await model.effects(samples, { ...options, memory: 1 }), result, 1e-5, "one row and two plans at a time");
  await using offloaded = await loadModel(fixture("neox-serial"), { ...here, offload: true });
  same(t, await offloaded.effects(samples, options), result, 1e-5, "offloaded");
  await using narrow = await loadModel(fixture("neox-serial"), { ...here, dtype: "bfloat16" });
  same(t, await narrow.effects(samples, options), result, 0.05, "bfloat16");
  const alone = await model.effects(samples.slice(2, 3), { prefixLength: 4, bypass: { blocks: [1] } });
  const [{ perRow, ...one }] = alone.bypasses as [BypassEffects];
  t.ok(Math.abs((perRow[0]?.logit.direct ?? 0) - (result.bypasses[1]?.perRow[2]?.logit.direct ?? 1)) < 1e-5);
  t.match(one, { name: "block 1", kind: "block", part: "attention", mode: "zero", blocks: [1] });
  t.match(alone.settings, { over: [{ blocks: [1] }], samples: { rows: 1, prefixLength: 4 }, dtype: "float32" });
  const nothing = await model.effects(samples, { prefixLength: 4, bypass: { blocks: [] } });
  t.match(nothing.bypasses[0], { changes: [], logit: { total: { value: 0 }, direct: { value: 0 } } });
});

t.test("what can't be measured", async (t) => {
  await using model = await loadModel(fixture("neox-serial"), here);
  const refused = await refusedBy(model);
  const effects = (options: object) => () => model.effects([[1, 2, 3]], { prefixLength: 1, ...options });
  const bypass = { blocks: [0] };
  for (const [name, value] of Object.entries({ over: "blocks", part: "mlp", mode: "zero", means: { blocks: [] } })) {
    await refused(t, name, effects({ bypass, [name]: value }), "INVALID_ARGUMENT", `options.${name}`, "options.bypass");
  }
  await refused(t, "a block", effects({ bypass: { blocks: [3] } }), "BLOCK_OUT_OF_RANGE", "options.bypass", "3");
  await refused(t, "no means", effects({ mode: "mean" }), "INVALID_ARGUMENT", "options.means");
  await refused(t, "no rows", () => model.effects([], { prefixLength: 1 }), "INVALID_ARGUMENT", "samples");
});

const interval = (value: number, width = 0.1): Interval => ({ value, low: value - width, high: value + width });
const effectOf = (total: number, direct: number, width = 0.1) => ({
  total: interval(total, width),
  direct: interval(direct, width),
  directFrozen: interval(direct, width),
  compensation: interval(total - direct, width),
  compensationFrozen: interval(total - direct, width),
});

/** A bypass of block 1 of 2 with these effects, on two rows that are equal. */
function madeUp(total: number, direct: number, width = 0.1): BypassEffects {
  const row = { total, direct, directFrozen: direct };
  const change = (block: number, value: number, bypassed = false) =>
    (["attention", "mlp"] as const).map((part, index) => ({
      block,
      part,
      bypassed: bypassed && part === "attention",
      change: interval(value - index),
      changeFrozen: interval(value - index),
    }));
  return {
    name: "block 1",
    kind: "block",
    part: "attention",
    blocks: [1],
    mode: "zero",
    logLikelihood: effectOf(total, direct, width),
    logit: { ...effectOf(total, direct, width), norm: interval(0.5) },
    contributions: { embedding: 0, attention: [0, 0, 0], mlp: [0, 0, 0], shift: 0 },
    changes: [...change(1, direct, true), ...change(2, 3)],
    perRow: [1, 2].map(() => ({ logLikelihood: row, logit: row })),
  };
}

t.test("a report says what later parts do, whatever it is", async (t) => {
  await using model = await loadModel(fixture("neox-serial"), here);
  const measured = await model.effects([randomTokens(9, model.config.vocabularySize)], { prefixLength: 4 });
  const sentencesOf = (...bypasses: BypassEffects[]) =>
    createEffectsReport({ ...measured, rows: 2, bypasses }, { name: "Serial" }).findings;
  const of = (total: number, direct: number, width?: number) => sentencesOf(madeUp(total, direct, width))[1] ?? "";
  t.match(
    of(-12, -20),
    "Bypassing the attention of block 1 (zero) lowers the log-likelihood of the suffix by 12 [11.9, 12.1] nats: the direct " +
      "effect is -20 [-20.1, -19.9] nats, so later parts, with the scale of the final norm, make up for 40 % [40, 40] of it.",
  );
  t.match(of(-12, -20), /attention 2 \(\+3\) and MLP 2 \(\+2\) rise most, and MLP 1 \(-21\) falls most\./);
  t.match(of(5, -20), /raises .* by 5 .* make up for 125 % \[125, 125\] of it/);
  t.match(of(-30, -20), /do not make up for it but add -10 \[-10.1, -9.9\] nats, 33 % of the total effect/);
  t.match(of(-20, -20, 1e-3), /the direct effect is -20 \[-20, -20\] nats, to which later parts add nothing/);
  t.match(of(-20.05, -20), /what later parts add is -0.05 .* nats, which is not distinguishable from 0 at 95 %/);
  t.match(of(-20, 0.05), /the direct effect is 0.05 .*, so it acts through later parts/);
  t.match(of(0.05, -20), /changes the log-likelihood of the suffix by 0.05 .* which is not distinguishable from 0/);
  t.match(
    sentencesOf(madeUp(-12, -20), madeUp(-30, -20), madeUp(-20, -20))[0],
    "In log-likelihood, later parts make up for some of the direct effect of 1 of 3 bypasses and increase that of 1, each at 95 %.",
  );
  t.match(
    createEffectsReport(measured).findings[0],
    /a mean over 1 row\. .* bypasses and increase that of \d, on this row\./,
  );
  const report = createEffectsReport(measured, { name: "Serial" });
  t.match(
    inspect(report),
    /^Total and direct effects of bypasses in Serial\n[\s\S]*figures: total-and-direct, changes-by-part\n/,
  );
  for (const figure of report.figures) t.match(await drawFigure(figure, "svg"), /^<svg/);
  for (const { head, rows } of report.tables) for (const row of rows) t.equal(row.length, head.length);
  const text = inspect(measured).split("\n");
  t.match(text[0], /^bypass +total +direct/);
  t.match(
    text.find((line) => line.startsWith("block 2")),
    /^block 2 +-?\d/,
  );
  const spoilt = (change: object) => ({ ...measured, ...change }) as unknown as EffectsResult;
  const wrong = [{}, { bypasses: [] }, { bypasses: [{ ...madeUp(1, 1), logit: null }] }, { settings: {} }];
  for (const change of wrong) {
    const given = Object.keys(change).length === 0 ? ({} as EffectsResult) : spoilt(change);
    t.throws(() => createEffectsReport(given), { code: "INVALID_ARGUMENT", message: /the result of model\.effects/ });
  }
});

t.test("on the command line", async (t) => {
  const folder = await temporaryFolder(t);
  const samples = `${folder}/samples.jsonl`;
  const rows = [1, 2].map((seed) => JSON.stringify(randomTokens(9, 67, seed)));
  await writeFile(samples, rows.join("\n"));
  const args = ["effects", fixture("neox-serial"), "--samples", samples, "--prefix-length", "4", "--device", "cpu"];
  const { output, exitCode } = await attentionBypass(...args, "--bypass", "1-2", "--mode", "short-circuit", "--json");
  t.equal(exitCode, 0);
  t.match(JSON.parse(output), { rows: 2, bypasses: [{ name: "blocks 1, 2", mode: "short-circuit" }] });
  const csv = await attentionBypass(...args, "--over", "blocks", "--csv");
  t.match(csv.output, /^name,part,blocks,mode,logLikelihood total,/);
  t.equal(csv.output.trim().split("\n").length, 4);
  const mean = ["--mode", "mean", "--mean-samples", samples, "--heads", "1.0"];
  const files = ["--output", `${folder}/effects.txt`, "--report", `${folder}/effects.html`];
  t.match(await attentionBypass(...args, ...mean, ...files), { exitCode: 0, output: "" });
});
