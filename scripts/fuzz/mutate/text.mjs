// Lines that changed, moved, came or went, and encodings that are none.
import { text } from "../values.mjs";
import { mutateBytes } from "./bytes.mjs";
import { mutateJson } from "./json.mjs";

const ways = {
  line(lines, random) {
    lines[random.below(lines.length)] = text(random);
  },
  remove: (lines, random) => lines.splice(random.below(lines.length), random.small(lines.length)),
  repeat: (lines, random) => lines.push(...lines.slice(random.below(lines.length))),
  swap(lines, random) {
    const [one, other] = [random.below(lines.length), random.below(lines.length)];
    [lines[one], lines[other]] = [lines[other], lines[one]];
  },
};

const encodings = [
  (content) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(content)]),
  (content) => Buffer.from(content, "utf16le"),
  (content) => Buffer.from(content.replaceAll("\n", "\r\n")),
  (content) => Buffer.from(content.replaceAll("\n", "\r")),
  (content) => Buffer.from(content.replaceAll(" ", "\u0085\ufeff\u2028")),
];

export function mutateText(bytes, random) {
  if (random.chance(0.3)) return mutateBytes(bytes, random);
  const content = bytes.toString("utf8");
  if (random.chance(0.15)) return random.pick(encodings)(content);
  const lines = content.split("\n");
  for (let count = random.small(6); count > 0; count--) {
    if (lines.length > 0) random.pick(Object.values(ways))(lines, random);
  }
  return Buffer.from(lines.join("\n"));
}

/** JSON lines: as text, or one of the lines as JSON. */
export function mutateJsonLines(bytes, random) {
  if (random.chance(0.3)) return mutateText(bytes, random);
  const lines = bytes.toString("utf8").split("\n");
  const at = random.below(Math.max(1, lines.length - 1));
  lines[at] = mutateJson(Buffer.from(lines[at] ?? ""), random).toString("latin1");
  return Buffer.from(lines.join("\n"));
}
