import { AttentionBypassError } from "../errors/errors.js";
import { invalidArgument } from "../errors/validation.js";

/** A model on the hub, at a revision. */
export interface ModelId {
  /** The organization or user and the model's name, such as "EleutherAI/pythia-160m". */
  readonly id: string;
  /** A branch, tag or commit. */
  readonly revision: string;
}

const form = /^([\w.-]+\/[\w.-]+)(?:@(.+))?$/;

/** The rules of the hub: at most 96 characters, no "--" or "..", no "-" or "." at the ends of a part, no ".git". */
function isName(id: string): boolean {
  const [owner, name] = id.split("/") as [string, string];
  const sound = [owner, name].every((part) => /^\w(?:[\w.-]*\w)?$/.test(part));
  return sound && id.length <= 96 && !/--|\.\.|\.git$/.test(id);
}

/** Checks the name of a branch or tag by the rules of Git, so that it can be a path in the cache. */
export function isRevision(revision: string): boolean {
  return (
    revision.length <= 250 &&
    /^[\w.+/@-]+$/.test(revision) &&
    !/\.\.|\/\/|^[/.-]|[/.]$|\/\.|@\{/.test(revision) &&
    revision !== "@"
  );
}

/** Returns whether a revision is a complete commit hash, which always names the same files. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Returns whether text has the form org/name or org/name@revision. */
export function looksLikeModelId(text: string): boolean {
  const [, id] = form.exec(text) ?? [];
  return id !== undefined && isName(id);
}

/** Returns the model that `org/name` or `org/name@revision` names. Throws INVALID_ARGUMENT. */
export function parseModelId(text: string, revision: string | undefined): ModelId {
  const [, id, written] = form.exec(text) ?? [];
  if (id === undefined || !isName(id)) {
    throw invalidArgument("id", 'the name of a model on the hub, such as "EleutherAI/pythia-160m"', text);
  }
  if (written !== undefined && revision !== undefined && written !== revision) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected one revision but received ${JSON.stringify(written)} in the name ${id}@${written} and ` +
        `${JSON.stringify(revision)} for options.revision`,
    );
  }
  const chosen = written ?? revision ?? "main";
  if (!isRevision(chosen)) throw invalidArgument("options.revision", "the name of a branch, tag or commit", chosen);
  return { id, revision: chosen };
}
