import { largest } from "../statistics/statistics.js";

/** Steps that span more than this factor are drawn on a logarithmic axis. */
const widest = 20;
/** The most labels on the axis. */
const mostTicks = 12;

/** An axis for training steps, and the place of a step on it. */
export interface StepAxis {
  /** The Vega-Lite encoding of the field "at". */
  encoding: object;
  /** Returns the value of the field "at" for a step. */
  place(step: number): number;
  /** Whether the axis is logarithmic and has step 0, which is drawn to the left of the others. */
  zeroApart: boolean;
}

/** Returns 1, 2 and 5 times powers of ten from one number to another, or only the powers if those are too many. */
export function logarithmicTicks(from: number, to: number): number[] {
  const powers = Array.from({ length: 22 }, (_, index) => 10 ** (index - 6));
  const within = (ticks: number[]) => ticks.filter((tick) => tick >= from && tick <= to);
  const fine = within(powers.flatMap((power) => [power, 2 * power, 5 * power]));
  return fine.length <= mostTicks ? fine : within(powers);
}

/** Returns the axis for these steps: logarithmic if they span more than a factor of 20, else linear. */
export function stepAxis(steps: readonly number[]): StepAxis {
  const positive = steps.filter((step) => step > 0);
  const last = largest(positive);
  const first = -largest(positive.map((step) => -step));
  const base = { field: "at", type: "quantitative", title: "training step" };
  if (positive.length < 2 || last <= widest * first) {
    return { encoding: { ...base, axis: { format: ",", grid: false } }, place: (step) => step, zeroApart: false };
  }
  const zeroApart = steps.includes(0);
  // About the width of one label left of the first step.
  const zero = first / (last / first) ** 0.09;
  const ticks = logarithmicTicks(first, last);
  return {
    encoding: {
      ...base,
      scale: { type: "log", domain: [zeroApart ? zero : first, last], nice: false },
      axis: {
        values: zeroApart ? [zero, ...ticks] : ticks,
        labelExpr: `datum.value < ${first * 0.999} ? '0' : format(datum.value, ',')`,
        labelOverlap: true,
        labelFlush: false,
        grid: false,
      },
    },
    place: (step) => (step === 0 ? zero : step),
    zeroApart,
  };
}
