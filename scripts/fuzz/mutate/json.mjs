// JSON whose values, names and nesting changed, and text that is JSON no more.
import { deepJson, numbers, numberTexts, text } from "../values.mjs";
import { mutateBytes } from "./bytes.mjs";

// Stand for text that JSON.stringify would not write.
const marker = (content) => `\u0001${content}\u0002`;

function value(random) {
  const kinds = [
    () => random.pick(numbers),
    () => random.pick(numbers),
    () => text(random),
    () => random.pick([null, true, false]),
    () => [],
    () => ({}),
    () => Array.from({ length: random.small(2000) }, () => random.pick(numbers)),
    () => marker(random.pick(numberTexts)),
    () => marker(deepJson(random.pick([100, 2000, 100_000]), random.chance(0.5))),
  ];
  return random.pick(kinds)();
}

/** Every place in a tree: what holds it, and its key there. */
function placesOf(tree) {
  const places = [];
  const open = [tree];
  while (open.length > 0) {
    const holder = open.pop();
    for (const key of Object.keys(holder)) {
      places.push([holder, key]);
      if (typeof holder[key] === "object" && holder[key] !== null) open.push(holder[key]);
    }
  }
  return places;
}

const own = (holder, key, content) =>
  Object.defineProperty(holder, key, { value: content, writable: true, enumerable: true, configurable: true });

function change(tree, random) {
  const places = placesOf(tree);
  if (places.length === 0) return;
  // Wide lists, such as a vocabulary, would leave nothing for the rest.
  const [holder, key] = random.chance(0.5) ? random.pick(places.slice(0, 40)) : random.pick(places);
  const old = holder[key];
  const ways = [
    () => own(holder, key, value(random)),
    () => own(holder, key, value(random)),
    () => own(holder, key, structuredCopy(random.pick(places)[0])),
    () => (Array.isArray(holder) ? holder.splice(Number(key), 1) : delete holder[key]),
    () => own(holder, Array.isArray(holder) ? String(holder.length) : text(random), old),
    () => {
      const [other, name] = random.pick(places);
      own(holder, key, structuredCopy(other[name]));
    },
    () =>
      typeof old === "number" && own(holder, key, random.pick([old + 1, old - 1, -old, old * 1e6, old / 3, old * 2])),
    () => typeof old === "string" && own(holder, key, mutateBytes(Buffer.from(old), random).toString("latin1")),
  ];
  random.pick(ways)();
}

/** Returns a copy, or null if JSON.stringify can't write the value, such as 100,000 nested arrays. */
function structuredCopy(content) {
  try {
    return content === undefined ? null : JSON.parse(JSON.stringify(content));
  } catch {
    return null;
  }
}

function write(tree) {
  const written = JSON.stringify(tree);
  return written.replace(/"\\u0001(.*?)\\u0002"/g, (_, content) => JSON.parse(`"${content}"`));
}

/** Takes and gives bytes. */
export function mutateJson(bytes, random) {
  if (random.chance(0.15)) return mutateBytes(bytes, random);
  let tree;
  try {
    tree = JSON.parse(bytes.toString("utf8"));
  } catch {
    return mutateBytes(bytes, random);
  }
  if (typeof tree !== "object" || tree === null || random.chance(0.03)) return Buffer.from(write(value(random)));
  for (let count = random.small(6); count > 0; count--) change(tree, random);
  try {
    return Buffer.from(write(tree));
  } catch {
    return mutateBytes(bytes, random);
  }
}
