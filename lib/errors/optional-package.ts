import { AttentionBypassError, messageOf, systemCode } from "./errors.js";

/** Module loaders of test runners and module hooks give an error without a code. */
function isMissing(error: unknown, name: string): boolean {
  const codes = ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"];
  const message = messageOf(error);
  return (
    codes.includes(systemCode(error) ?? "") || (/Cannot find (package|module)/.test(message) && message.includes(name))
  );
}

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
    if (!isMissing(error, name)) throw error;
    throw new AttentionBypassError(
      "PACKAGE_MISSING",
      `expected the package ${name} to ${purpose} but it is not installed; run \`npm install ${name}\`, or install ` +
        "attention-bypass without --omit=optional",
      { cause: error },
    );
  }
}
