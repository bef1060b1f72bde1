import { AttentionBypassError } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";
import { invalidArgument } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";
import { familyOf } from "../families/registry.js";

/** Name prefixes of extra heads that training adds to a language model. */
const extraHeads = ["v_head.", "score."];
/** The most names that a message shows. */
const shownNames = 5;

/** The tensors of one model, and a notice for each part that was left out. */
export interface ChosenModel<Tensor> {
  tensors: Tensor[];
  notices: string[];
}

const listed = (names: readonly string[]) => {
  const shown = names
    .slice(0, shownNames)
    .map((name) => quoted(name))
    .join(", ");
  return names.length > shownNames ? `${shown} and ${names.length - shownNames} more` : shown;
};

/** Returns the prefix of all names of each model, such as "model.", or "". */
function prefixesOf(names: readonly string[], family: ModelConfig["family"]): string[] {
  const { embedding, core } = familyOf(family);
  const inner = names
    .filter((name) => name === embedding || name.endsWith(`.${embedding}`))
    .map((name) => name.slice(0, -embedding.length));
  const outer = inner.map((prefix) => {
    const whole = prefix === core || prefix.endsWith(`.${core}`);
    return whole ? prefix.slice(0, -core.length) : prefix;
  });
  return [...new Set(outer)];
}

function choosePrefix(prefixes: readonly string[], key: string | undefined, place: string): string {
  const keys = prefixes.map((prefix) => prefix.slice(0, -1));
  const found =
    key === undefined ? prefixes : prefixes.filter((prefix) => prefix === `${key}.` || prefix.startsWith(`${key}.`));
  // The empty key selects the model whose names have no prefix.
  const matches = key === "" ? prefixes.filter((prefix) => prefix === "") : found;
  const [prefix, ...others] = matches;
  if (prefix === undefined) throw invalidArgument("key", `${listed(keys)}, which ${place} holds,`, key);
  if (others.length === 0) return prefix;
  throw new AttentionBypassError(
    "WEIGHTS_AMBIGUOUS",
    `expected one model in ${place} but found ${matches.length}, named ${listed(matches.map((name) => name.slice(0, -1)))}; ` +
      "choose one with the option key",
  );
}

/**
 * Chooses the tensors of one model: the only one in the files, or the one whose names begin with `key`. Throws
 * TENSOR_MISSING, WEIGHTS_AMBIGUOUS, INVALID_ARGUMENT.
 */
export function chooseModel<Tensor extends { readonly name: string }>(
  tensors: readonly Tensor[],
  family: ModelConfig["family"],
  key: string | undefined,
  place: string,
): ChosenModel<Tensor> {
  const names = tensors.map(({ name }) => name);
  const prefixes = prefixesOf(names, family);
  if (prefixes.length === 0) {
    const { embedding, core } = familyOf(family);
    throw new AttentionBypassError(
      "TENSOR_MISSING",
      `expected a tensor ${core}${embedding} in ${place} but found none among ${names.length} tensors` +
        (names.length > 0 ? `: ${listed(names)}` : ""),
    );
  }
  const prefix = choosePrefix(prefixes, key, place);
  const inside = prefixes.filter((other) => other.length > prefix.length && other.startsWith(prefix));
  const own = tensors.filter(({ name }) => name.startsWith(prefix) && !inside.some((other) => name.startsWith(other)));
  const headOf = ({ name }: Tensor) => extraHeads.find((head) => name.startsWith(prefix + head));
  const notices = extraHeads.flatMap((head) => {
    const count = own.filter((tensor) => headOf(tensor) === head).length;
    const what = count === 1 ? "1 tensor" : `${count} tensors`;
    return count > 0 ? [`left out ${what} of the head ${prefix}${head} in ${place}`] : [];
  });
  return { tensors: own.filter((tensor) => headOf(tensor) === undefined), notices };
}
