import type { Template } from "@huggingface/jinja";
import { quoted } from "../errors/quoted.js";
import { requiredColumns } from "./template-columns.js";

/** A row of a table: values by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** The rules by which a row of one format is rendered as a question, as in `formSchema`. */
export interface Form {
  needs: string[];
  context?: string | undefined;
  contexts?: string[] | undefined;
  choices?: string | string[] | undefined;
  continuation?: string | undefined;
  gold?: string | undefined;
  labels?: string | string[] | undefined;
  replace: [string, string][];
}

/** A question: pairs of a context and a possible continuation. The pair at `gold` is the correct one. */
export interface RenderedQuestion {
  pairs: { context: string; continuation: string }[];
  gold: number;
  /** The number of characters of each choice, by which the harness's normalized accuracy divides. */
  characters: number[];
}

/** Returns the value at a path of field names, separated by dots. Only own properties are read. */
function at(row: Row, place: string): unknown {
  return place
    .split(".")
    .reduce<unknown>(
      (value, key) =>
        typeof value === "object" && value !== null && Object.hasOwn(value, key)
          ? (value as Record<string, unknown>)[key]
          : undefined,
      row,
    );
}

/** Renders rows of one form as questions. */
export class Renderer {
  readonly #templates = new Map<string, { template: Template; columns: string[] }>();
  readonly #replacements: [RegExp, string][];

  constructor(
    private readonly form: Form,
    private readonly jinja: typeof import("@huggingface/jinja"),
  ) {
    this.#replacements = form.replace.map(([pattern, replacement]) => [new RegExp(pattern, "gu"), replacement]);
  }

  #text(source: string, row: Row): string {
    let known = this.#templates.get(source);
    if (!known) {
      const template = new this.jinja.Template(source);
      known = { template, columns: requiredColumns(template) };
      this.#templates.set(source, known);
    }
    const missing = known.columns.find((column) => !Object.hasOwn(row, column));
    if (missing !== undefined) throw new Error(`it has no column ${quoted(missing)}, which the template uses`);
    return known.template.render({ ...row });
  }

  #clean(text: string): string {
    return this.#replacements.reduce((cleaned, [pattern, by]) => cleaned.replace(pattern, by), text);
  }

  #list(source: string | readonly string[], row: Row): string[] {
    if (typeof source !== "string") return source.map((member) => this.#text(member, row));
    const values = at(row, source);
    if (Array.isArray(values)) return values.map(String);
    throw new Error(`it has no list ${quoted(source)}`);
  }

  #gold(row: Row, count: number): number {
    const { gold = "0", labels } = this.form;
    const label = this.#text(gold, row);
    const place = labels === undefined ? Number(label) : this.#list(labels, row).indexOf(label);
    if (label !== "" && Number.isInteger(place) && place >= 0 && place < count) return place;
    throw new Error(`${quoted(label)} is not one of the ${count} answers`);
  }

  render(row: Row): RenderedQuestion {
    const { context = "", contexts, choices, continuation = "" } = this.form;
    const before = (contexts ?? [context]).map((source) => this.#clean(this.#text(source, row)));
    const after =
      choices === undefined
        ? [this.#clean(this.#text(continuation, row))]
        : this.#list(choices, row).map((choice) => this.#clean(choice));
    return {
      pairs: before.flatMap((context) => after.map((continuation) => ({ context, continuation }))),
      gold: this.#gold(row, before.length * after.length),
      // Code points, as Python counts them.
      characters: after.map((choice) => [...choice].length),
    };
  }
}
