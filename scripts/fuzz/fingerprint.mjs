// Detects changes of global objects, which code in a file could change for the whole process.

const prototypes = [
  Object,
  Function,
  Array,
  String,
  Number,
  Boolean,
  Symbol,
  BigInt,
  Promise,
  RegExp,
  Date,
  Error,
  TypeError,
  Map,
  Set,
  WeakMap,
  WeakSet,
  WeakRef,
  ArrayBuffer,
  DataView,
  Uint8Array,
  Float32Array,
  Int32Array,
  AbortController,
  AbortSignal,
  EventTarget,
  Buffer,
  URL,
].flatMap((one) => [one, one.prototype]);
const watched = [
  ...prototypes,
  Object.getPrototypeOf(Uint8Array),
  Object.getPrototypeOf(Uint8Array).prototype,
  JSON,
  Math,
  Reflect,
  process,
  console,
];

// Properties that Node.js creates on first use.
const lazy = (key) => typeof key === "symbol" && /undici/.test(String(key));

function content(object) {
  const all = new Map();
  for (const key of Reflect.ownKeys(object)) {
    const found = Object.getOwnPropertyDescriptor(object, key);
    all.set(key, found.get ?? found.set ?? found.value);
  }
  return all;
}

/** Returns a function that names what has changed since; it returns undefined if nothing has. */
export function watchGlobals() {
  // Numbers that change by themselves, such as process.exitCode, are ignored.
  const isCode = (value) => typeof value === "function" || typeof value === "object";
  const before = watched.map(content);
  const globals = new Set(Reflect.ownKeys(globalThis));
  const frozen = watched.map((object) => Object.isExtensible(object));
  const environment = JSON.stringify(process.env);
  return () => {
    for (const [index, object] of watched.entries()) {
      const now = content(object);
      const name = object.name ?? object.constructor?.name ?? `object ${index}`;
      if (Object.isExtensible(object) !== frozen[index]) return `${name} was frozen`;
      for (const [key, value] of now) {
        if (!before[index].has(key) && object !== process) return `${name}.${String(key)} came`;
        const old = before[index].get(key);
        if (isCode(old) && old !== value && object !== process) return `${name}.${String(key)} changed`;
      }
      for (const key of before[index].keys()) if (!now.has(key)) return `${name}.${String(key)} went`;
    }
    for (const key of Reflect.ownKeys(globalThis))
      if (!globals.has(key) && !lazy(key)) return `globalThis.${String(key)} came`;
    if (JSON.stringify(process.env) !== environment) return "process.env changed";
    return undefined;
  };
}
