import * as v from "valibot";
import { AttentionBypassError, messageOf } from "../errors/errors.js";
import { optionalPackage } from "../errors/optional-package.js";
import { validate } from "../errors/validation.js";
import { node } from "../files/node.js";
import type { Figure } from "./figure.js";
import { figureSchema } from "./schema.js";

/** The number of PNG pixels for each SVG pixel, along each axis. */
const zoom = 2;
/** The maximum number of SVG pixels for a PNG. A figure that fills a page has a tenth of this. */
const maxPixels = 2 ** 24;

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

/**
 * Replaces Vega's ids of gradients and clip paths, which repeat across processes, so that a page can contain figures of
 * several.
 */
function withUniqueIds(svg: string): string {
  const pattern = /(?<=\bid="|url\(#)(?:gradient_|clip)\d+/g;
  const ids = [...new Set(svg.match(pattern))];
  const numbered = svg.replace(pattern, (id) => String(ids.indexOf(id)));
  const figureId = node.crypto.createHash("sha256").update(numbered).digest("hex").slice(0, 12);
  return svg.replace(pattern, (id) => `figure-${figureId}-${ids.indexOf(id)}`);
}

async function toSvg({ title, caption, spec }: Figure): Promise<string> {
  // Imported here, since loading takes half a second. One after the other, since module loaders such as those of Jest
  // and Vitest fail if both load their shared parts at the same time.
  const vega = await optionalPackage("vega", "draw figures", () => import("vega"));
  const { compile } = await optionalPackage("vega-lite", "draw figures", () => import("vega-lite"));
  try {
    const whole = { config, description: `${title}. ${caption}`, ...spec } as Parameters<typeof compile>[0];
    const view = new vega.View(vega.parse(compile(whole).spec), { renderer: "none" });
    return withUniqueIds(await view.toSVG().finally(() => view.finalize()));
  } catch (error) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected a valid Vega-Lite specification for figure.spec but ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function toPng(svg: string): Promise<Uint8Array> {
  const { Resvg } = await optionalPackage("@resvg/resvg-js", "draw PNG files", () => import("@resvg/resvg-js"));
  // Without a font, resvg leaves out text without an error, so a letter is drawn as a test.
  const letter = new Resvg(
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text y="15">M</text></svg>',
  );
  if (letter.render().pixels.every((value) => value === 0)) {
    throw new AttentionBypassError(
      "FONT_MISSING",
      "expected a font on this machine to draw a PNG but found none; install one (on Debian `apt-get install fonts-dejavu-core`), or write an SVG",
    );
  }
  const drawing = new Resvg(svg, { fitTo: { mode: "zoom", value: zoom } });
  if (drawing.width * drawing.height > maxPixels) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected a figure of at most ${maxPixels} pixels for a PNG but received ${drawing.width} x ${drawing.height}; make the figure smaller, or write an SVG`,
    );
  }
  return drawing.render().asPng();
}

const formatSchema = v.picklist(["svg", "png"], 'expected "svg" or "png"');

/**
 * Draws a figure as SVG, or as PNG with twice the SVG's width and height in pixels, without a browser. Draw only
 * specifications that you trust, since a specification can use unlimited time and memory, as code can. Throws INVALID_ARGUMENT,
 * and FONT_MISSING for a PNG on a machine without fonts.
 */
export function drawFigure(figure: Figure, format: "svg"): Promise<string>;
export function drawFigure(figure: Figure, format: "png"): Promise<Uint8Array>;
export async function drawFigure(figure: Figure, format: "svg" | "png"): Promise<string | Uint8Array> {
  const checked = validate(figureSchema, figure, "figure");
  validate(formatSchema, format, "format");
  const svg = await toSvg(checked);
  return format === "svg" ? svg : toPng(svg);
}
