import type { BypassMode, BypassPart } from "../bypass/bypass.js";

/** The part that is bypassed and what replaces its output: a column of the figures. */
export interface Setting {
  part: BypassPart;
  mode: BypassMode;
}

export const sameSetting =
  ({ part, mode }: Setting) =>
  (other: Setting): boolean =>
    other.part === part && other.mode === mode;

export const modeVerb = (mode: BypassMode) => (mode === "short-circuit" ? "short-circuited" : "zeroed");

export const settingTitle = ({ part, mode }: Setting) => `${part === "mlp" ? "MLP" : "attention"} ${modeVerb(mode)}`;
