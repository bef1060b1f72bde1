import * as v from "valibot";
import { AttentionBypassError, messageOf } from "../errors/errors.js";
import { optionalPackage } from "../errors/optional-package.js";
import { validate } from "../errors/validation.js";
import { node } from "../files/node.js";
import type { Figure } from "./figure.js";
import { figureSchema } from "./schema.js";

/** PNG pixels for each SVG pixel, along each axis. */
const zoom = 2;
/** The most SVG pixels that a PNG is drawn from; a full page has a tenth of this. */
const mostPixels = 2 ** 24;

const config = {
  font: "Helvetica, Arial, sans-serif",
  background: "white",
  axis: { labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", gridColor: "#e6e6e6", domainColor: "#888" },
  legend: {
    orient: "top",
    labelLimit: 0,
    symbolOpacity: 1,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
    symbolSize: 70,
  },
  header: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
  view: { stroke: null },
};

/** Vega numbers gradients and clip paths from the process's start, and pages hold figures of more than one process. */
function withOwnIds(svg: string): string {
  const pattern = /(?<=\bid="|url\(#)(?:gradient_|clip)\d+/g;
  const ids = [...new Set(svg.match(pattern))];
  const numbered = svg.replace(pattern, (id) => String(ids.indexOf(id)));
  const own = node.crypto.createHash("sha256").update(numbered).digest("hex").slice(0, 12);
  return svg.replace(pattern, (id) => `figure-${own}-${ids.indexOf(id)}`);
}

async function toSvg({ title, caption, spec }: Figure): Promise<string> {
  // Half a second to load, which who draws nothing need not wait for.
  // One after the other: hosts that link modules themselves, as Jest and Vitest, trip over parts that both share.
  const vega = await optionalPackage("vega", "draw figures", () => import("vega"));
  const { compile } = await optionalPackage("vega-lite", "draw figures", () => import("vega-lite"));
  try {
    const whole = { config, description: `${title}. ${caption}`, ...spec } as Parameters<typeof compile>[0];
    const view = new vega.View(vega.parse(compile(whole).spec), { renderer: "none" });
    return withOwnIds(await view.toSVG().finally(() => view.finalize()));
  } catch (error) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected a specification that Vega-Lite draws for figure.spec but ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function toPng(svg: string): Promise<Uint8Array> {
  const { Resvg } = await optionalPackage("@resvg/resvg-js", "draw PNG files", () => import("@resvg/resvg-js"));
  // Text that there is no font for is left out without a word.
  const mark = new Resvg('<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text y="15">M</text></svg>');
  if (mark.render().pixels.every((value) => value === 0)) {
    throw new AttentionBypassError(
      "FONT_MISSING",
      "expected a font on this machine to draw a PNG with but found none; on Debian `apt-get install fonts-dejavu-core` brings one, and an SVG needs none here",
    );
  }
  const drawing = new Resvg(svg, { fitTo: { mode: "zoom", value: zoom } });
  if (drawing.width * drawing.height > mostPixels) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected a figure of at most ${mostPixels} pixels for a PNG but received one of ${drawing.width} by ${drawing.height}; draw an SVG, or a smaller one`,
    );
  }
  return drawing.render().asPng();
}

const formatSchema = v.picklist(["svg", "png"], 'expected "svg" or "png"');

/**
 * Draws a figure as SVG, or as PNG with two pixels for each of the SVG's, without a browser. A specification can ask for
 * any amount of work and memory, as code can: draw only those that you trust. Throws INVALID_ARGUMENT, and FONT_MISSING
 * for a PNG on a machine that has no font.
 */
export function drawFigure(figure: Figure, format: "svg"): Promise<string>;
export function drawFigure(figure: Figure, format: "png"): Promise<Uint8Array>;
export async function drawFigure(figure: Figure, format: "svg" | "png"): Promise<string | Uint8Array> {
  const checked = validate(figureSchema, figure, "figure");
  validate(formatSchema, format, "format");
  const svg = await toSvg(checked);
  return format === "svg" ? svg : toPng(svg);
}
