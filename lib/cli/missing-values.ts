import type { Command } from "commander";
import { AttentionBypassError } from "../errors/errors.js";

/** Refuses an option in place of a value: in `--samples --rows 5`, commander would use "--rows" as the file. Throws
 * INVALID_ARGUMENT. */
export function checkValues(program: Command, args: readonly string[]): void {
  const command = program.commands.find((one) => one.name() === args[0]);
  const option = (word: string | undefined) =>
    command?.options.find(({ long, short }) => word === long || word === short);
  for (let place = 1; place < args.length && args[place] !== "--"; place++) {
    if (!option(args[place])?.required) continue;
    const [flag, value] = args.slice(place, place + 2);
    if (value !== undefined && option(value) !== undefined) {
      throw new AttentionBypassError(
        "INVALID_ARGUMENT",
        `expected a value for ${flag} but received the option ${value}; write ${flag}=${value} if that is the value`,
      );
    }
    place++;
  }
}
