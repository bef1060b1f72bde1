import { type Bypass, toPlan } from "../bypass/bypass.js";
import type { ModelConfig } from "../families/config.js";
import { ApiError, toApiError } from "./api-error.js";

/** A model in OpenAI's form. */
interface ListedModel {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
}

/** The names under which one model is served, each with its bypass. */
export class ModelNames {
  readonly #bypasses: ReadonlyMap<string, Bypass | undefined>;
  readonly #created = Math.floor(Date.now() / 1000);

  /** Throws INVALID_ARGUMENT and the codes of `Bypass`. */
  constructor(
    name: string,
    bypasses: Readonly<Record<string, unknown>>,
    private readonly config: ModelConfig,
  ) {
    const named = Object.entries(bypasses).map(([suffix, bypass]): [string, Bypass] => {
      toPlan(bypass ?? null, config, `options.bypasses[${JSON.stringify(suffix)}]`);
      return [`${name}:${suffix}`, bypass as Bypass];
    });
    this.#bypasses = new Map<string, Bypass | undefined>([[name, undefined], ...named]);
  }

  /** Returns all models in OpenAI's form. */
  list(): ListedModel[] {
    return [...this.#bypasses.keys()].map((id) => this.#describe(id));
  }

  /** Returns one model in OpenAI's form. Throws 404. */
  get(name: string): ListedModel {
    this.#require(name);
    return this.#describe(name);
  }

  /** Returns the bypass of a request: that of the model's name, or the field `bypass`. Throws 400, 404. */
  bypassOf(name: string, field: unknown): Bypass | undefined {
    this.#require(name);
    const named = this.#bypasses.get(name);
    if (field === undefined || field === null) return named;
    if (named !== undefined) {
      throw new ApiError(400, `expected one bypass but received the model ${name} and the field bypass; remove one`, {
        param: "bypass",
      });
    }
    try {
      toPlan(field, this.config);
    } catch (error) {
      const { status, message, details } = toApiError(error);
      throw new ApiError(status, message, { ...details, param: "bypass" });
    }
    return field as Bypass;
  }

  #require(name: string): void {
    if (this.#bypasses.has(name)) return;
    const known = [...this.#bypasses.keys()].join(", ");
    throw new ApiError(404, `expected one of the models ${known} but received ${JSON.stringify(name.slice(0, 200))}`, {
      param: "model",
      code: "model_not_found",
    });
  }

  #describe(id: string): ListedModel {
    return { id, object: "model", created: this.#created, owned_by: "attention-bypass" };
  }
}
