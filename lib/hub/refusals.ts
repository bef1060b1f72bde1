import type { Response } from "../download/request.js";
import { AttentionBypassError } from "../errors/errors.js";
import { longestMessage, quoted } from "../errors/quoted.js";
import type { ModelId } from "./model-id.js";
import { type HubSettings, tokenAdvice } from "./settings.js";

/** The URL of a model's page. */
export const pageOf = ({ endpoint }: HubSettings, id: string) => `${endpoint}/${id}`;

/**
 * Returns the error for a response of the hub: a missing model or revision, or a missing or refused token; undefined for
 * other failures. The hub names the reason in the headers X-Error-Code and X-Error-Message, and does not tell a missing
 * model from a private one.
 */
export function refusalOf(
  response: Response,
  { id, revision }: ModelId,
  settings: HubSettings,
): AttentionBypassError | undefined {
  const { status, headers } = response;
  const reason = headers.get("x-error-code");
  const message = headers.get("x-error-message") ?? "";
  const page = pageOf(settings, id);
  const said = message === "" ? "" : ` (${quoted(message, longestMessage)})`;
  if (reason === "RevisionNotFound") {
    return new AttentionBypassError(
      "REVISION_NOT_FOUND",
      `expected the revision ${revision} of ${id} but ${settings.endpoint} has no such branch, tag or commit; see the ` +
        `branches and tags in ${page}/tree/main`,
    );
  }
  if (reason === "GatedRepo") return gated(id, page, settings);
  if (status === 401 && settings.token !== undefined && reason !== "RepoNotFound") {
    return new AttentionBypassError(
      "HUB_TOKEN_REFUSED",
      `expected a valid access token for ${id} but ${settings.endpoint} refuses it${said}; create one in ` +
        `${settings.endpoint}/settings/tokens and ${tokenAdvice()}`,
    );
  }
  if (status === 403) {
    return new AttentionBypassError(
      "HUB_TOKEN_REFUSED",
      `expected permission to read ${id} but ${settings.endpoint} refuses it${said}; give the token read access`,
    );
  }
  if (reason === "RepoNotFound" || status === 401 || (status === 404 && reason === null)) {
    const advice = settings.token === undefined ? `; for a private model, ${tokenAdvice()}` : "";
    return new AttentionBypassError(
      "MODEL_NOT_FOUND",
      `expected the model ${id} on ${settings.endpoint} but there is none that this access may read${advice}`,
    );
  }
  return undefined;
}

function gated(id: string, page: string, { token }: HubSettings): AttentionBypassError {
  if (token === undefined) {
    return new AttentionBypassError(
      "HUB_TOKEN_MISSING",
      `expected an access token for ${id}, which is a gated model, but there is none; request access in ${page}, then ` +
        tokenAdvice(),
    );
  }
  return new AttentionBypassError(
    "MODEL_GATED",
    `expected access to ${id}, which is a gated model, but the owner of this token has none; request it in ${page}`,
  );
}
