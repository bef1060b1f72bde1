/** A figure as a Vega-Lite specification that contains its data. */
export interface Figure {
  /** The name of the figure, which is part of file names, such as "by-block". */
  name: string;
  /** The title, shown above the figure. */
  title: string;
  /** The caption, shown below the figure. */
  caption: string;
  /** The Vega-Lite specification. */
  spec: object;
}

/** Colours that colour-blind people can distinguish (Okabe and Ito). Figures use shapes or dashes in addition. */
export const colours = {
  memorization: "#D55E00",
  ability: "#0072B2",
  control: "#009E73",
  neutral: "#555555",
  tasks: ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442"],
};

export const memorization = "memorization";
export const ability = "ability";

/** Returns the encodings that give memorization and ability their colours and shapes. */
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

/** Returns the facet and panel width for one panel for each mode of each part. `mode` is what `panelOf` returns. */
export function byMode(values: readonly { mode: string }[]) {
  const modes = panelOrder.filter((mode) => values.some((value) => value.mode === mode));
  const width = Math.floor((720 - 40 * (modes.length - 1)) / modes.length);
  const mode = "'mode: ' + peek(split(datum.value, ', '))";
  const part = "indexof(datum.value, ', ') < 0 ? 'attention' : split(datum.value, ', ')[0]";
  const several = modes.some((name) => name.includes(", "));
  const header = { title: null, labelExpr: several ? `[${part}, ${mode}]` : mode };
  return { width, column: { field: "mode", type: "nominal", sort: panelOrder, title: null, header } };
}

/** The axis for the number of the bypassed block. */
export const blockAxis = {
  field: "block",
  type: "ordinal",
  title: "bypassed block",
  axis: { labelAngle: 0, labelOverlap: true },
};
