/** Where the command line has another name for an option of the library than its own in kebab case, the longest first. */
const flags: readonly [path: RegExp, flag: string][] = [
  [/^over(\[\d+\])?\.window$/, "--over"],
  [/^(bypass|over\[\d+\])(\.blocks.*)?$/, "--bypass"],
  [/^(bypass|over\[\d+\])\.heads.*$/, "--heads"],
  [/^(bypass|over\[\d+\])\.mode$/, "--mode"],
  [/^(bypass|over\[\d+\])\.part$/, "--part"],
  [/^(bypass\.|over\[\d+\]\.)?means.*$/, "--mean-samples"],
  [/^tasks\b.*$/, "--tasks or --task"],
];

/** Names of arguments in "for NAME but received", and what the command line calls them. */
const argumentsByName: Readonly<Record<string, string>> = {
  samples: "--samples",
  prefixLength: "--prefix-length",
  path: "<model>",
  from: "<from>",
  to: "<to>",
};

/** Options that messages mention by name. */
const mentioned = ["prefixLength", "contextLength", "maxNewTokens", "beginningToken"];

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function flagOf(path: string): string {
  const known = flags.find(([pattern]) => pattern.test(path))?.[1];
  return known ?? `--${kebab(/^\w+/.exec(path)?.[0] ?? path)}`;
}

/** A message of the library with the names of the command line's options in place of its own. */
export function withFlags(message: string): string {
  return message
    .replace(/\b(?:options\.|(?<= for )(?=bypass\b))(\w+(?:\.\w+|\[\d+\])*)/g, (_, path: string) => flagOf(path))
    .replace(/ for (\w+) but received /g, (found, name: string) => {
      const flag = argumentsByName[name];
      return flag === undefined ? found : ` for ${flag} but received `;
    })
    .replace(new RegExp(`(?<![\\w."'/-])(${mentioned.join("|")})(?![\\w"'/-])`, "g"), (name) => `--${kebab(name)}`)
    .replace(/ but received undefined\b/, " but it is not given");
}
