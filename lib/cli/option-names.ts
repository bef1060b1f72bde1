/** Flags that are not the kebab case of the library's option. The first pattern that matches applies. */
const flags: readonly [path: RegExp, flag: string][] = [
  [/^over(\[\d+\])?\.window$/, "--over"],
  [/^(bypass|over\[\d+\])(\.blocks.*)?$/, "--bypass"],
  [/^(bypass|over\[\d+\])\.heads.*$/, "--heads"],
  [/^(bypass|over\[\d+\])\.mode$/, "--mode"],
  [/^(bypass|over\[\d+\])\.part$/, "--part"],
  [/^(bypass\.|over\[\d+\]\.)?means.*$/, "--mean-samples"],
  [/^tasks\b.*$/, "--tasks or --task"],
  [/^bypasses.*$/, "--bypass"],
  [/^models\b.*$/, "<models>"],
  [/^limits\.seconds$/, "--max-seconds"],
];

/** The flags of arguments that messages name as in "for NAME but received". */
const argumentsByName: Readonly<Record<string, string>> = {
  samples: "--samples",
  prefixLength: "--prefix-length",
  path: "<model>",
  from: "<from>",
  to: "<to>",
};

/** Options of the library whose names appear in messages. */
const mentioned = ["prefixLength", "contextLength", "maxNewTokens", "beginningToken"];

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function flagOf(path: string): string {
  const known = flags.find(([pattern]) => pattern.test(path))?.[1];
  return known ?? `--${kebab(/^\w+/.exec(path)?.[0] ?? path)}`;
}

/** Replaces names of the library's options in a message by the flags of the command line. */
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
