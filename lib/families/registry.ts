// The supported model families. docs/families.md says how to add one.
import type { Family } from "./family.js";
import { gptNeo } from "./gpt-neo.js";
import { gptNeox } from "./gpt-neox.js";
import { gpt2 } from "./gpt2.js";
import type { FamilyName } from "./model-config.js";

const byName: Readonly<Record<FamilyName, Family>> = { "gpt-neox": gptNeox, "gpt-neo": gptNeo, gpt2 };

export const families: readonly Family[] = Object.values(byName);

export const familyOf = (name: FamilyName): Family => byName[name];
