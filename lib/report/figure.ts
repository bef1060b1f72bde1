/** A figure as a Vega-Lite specification, with its data in it. */
export interface Figure {
  /** Of a file: lower-case words with hyphens. */
  name: string;
  /** Stands above it. */
  title: string;
  /** Stands below it. */
  caption: string;
  /** The specification. */
  spec: object;
}

/** Colours that colour-blind people tell apart (Okabe and Ito). Shapes or dashes say the same again. */
export const colours = {
  memorization: "#D55E00",
  ability: "#0072B2",
  neutral: "#555555",
  tasks: ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442"],
};

export const memorization = "memorization";
export const ability = "ability";

/** The one colour and shape for each of memorization and ability. */
export function kinds(names: readonly string[]) {
  const present = [memorization, ability].filter((name) => names.includes(name));
  const range = present.map((name) => (name === memorization ? colours.memorization : colours.ability));
  return {
    color: { field: "what", type: "nominal", sort: present, title: null, scale: { domain: present, range } },
    shape: { field: "what", type: "nominal", sort: present, title: null, scale: { domain: present } },
  };
}

export const percentAxis = { format: "%" };

const modeOrder = ["zero", "short-circuit", "mean"];
const panelOrder = ["", "MLP, ", "attention and MLP, "].flatMap((part) => modeOrder.map((mode) => part + mode));

/** A panel for each mode of each part, next to each other in the width of a page. `mode` is what `panelOf` returns. */
export function byMode(values: readonly { mode: string }[]) {
  const modes = panelOrder.filter((mode) => values.some((value) => value.mode === mode));
  const width = Math.floor((720 - 40 * (modes.length - 1)) / modes.length);
  const header = { title: null, labelExpr: "'mode: ' + datum.value" };
  return { width, column: { field: "mode", type: "nominal", sort: panelOrder, title: null, header } };
}

/** What a numbered block is on an axis. */
export const blockAxis = {
  field: "block",
  type: "ordinal",
  title: "bypassed block",
  axis: { labelAngle: 0, labelOverlap: true },
};
