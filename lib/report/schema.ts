import * as v from "valibot";
import { share } from "../errors/validation.js";

const text = v.string();

/** The name of a figure, which becomes part of a file name. */
const name = v.pipe(text, v.regex(/^[^/\\\p{Cc}]{1,100}$/u, "a name without slashes, of at most 100 characters,"));

export const figureSchema = v.looseObject({ name, title: text, caption: text, spec: v.looseObject({}) });

const tableSchema = v.looseObject({ title: text, head: v.array(text), rows: v.array(v.array(text)) });

const passageSchema = v.looseObject({
  title: text,
  prefix: text,
  panels: v.array(
    v.looseObject({
      title: text,
      note: text,
      tokens: v.array(v.looseObject({ text, probability: share })),
      omitted: text,
    }),
  ),
});

/** The schema of a report that is written or shown. Users may have changed the report. */
export const reportSchema = v.looseObject({
  title: text,
  description: text,
  findings: v.array(text),
  figures: v.pipe(
    v.array(figureSchema),
    v.check(
      (figures) => new Set(figures.map(({ name }) => name)).size === figures.length,
      "figures with different names",
    ),
  ),
  passages: v.optional(v.looseObject({ caption: text, list: v.array(passageSchema) })),
  tables: v.array(tableSchema),
  settings: v.record(text, v.unknown()),
});
