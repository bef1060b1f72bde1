import { AttentionBypassError, systemCode } from "./errors.js";

const missing = ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"];

/**
 * Imports a package of `optionalDependencies`, which an installation with `--omit=optional` lacks. `purpose` completes
 * "expected the package NAME to ..." in the message. Throws PACKAGE_MISSING.
 */
export async function optionalPackage<Module>(
  name: string,
  purpose: string,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    if (!missing.includes(systemCode(error) ?? "")) throw error;
    throw new AttentionBypassError(
      "PACKAGE_MISSING",
      `expected the package ${name} to ${purpose} but it is not installed; run \`npm install ${name}\`, or install ` +
        "attention-bypass without --omit=optional",
      { cause: error },
    );
  }
}
