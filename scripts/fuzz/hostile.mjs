// Random arguments that an untyped caller may pass.
import vm from "node:vm";
import { names, numbers, text } from "./values.mjs";

/** Thrown by hostile getters, iterators and callbacks; the package may rethrow it unchanged. */
export const mine = new Error("the caller's own error");

const raise = () => {
  throw mine;
};

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function detached() {
  const array = new Int32Array([1, 2, 3]);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

function cycle() {
  const list = [1];
  list.push(list);
  return list;
}

function shared() {
  const array = new Int32Array(new SharedArrayBuffer(16));
  array.set([1, 2, 3, 4]);
  return array;
}

// biome-ignore lint/suspicious/noThenProperty: that is the point
const thenable = (act) => Object.fromEntries([["then", act]]);

const deep = (depth) => {
  let value = [1];
  for (let count = 0; count < depth; count++) value = [value];
  return value;
};

const simple = [
  (random) => random.pick(numbers),
  (random) => random.pick(numbers),
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -0,
  () => undefined,
  () => null,
  (random) => random.chance(0.5),
  (random) => text(random),
  (random) => random.pick(names),
  (random) => BigInt(Math.trunc(random.pick(numbers))),
  () => Symbol("hostile"),
  () => () => undefined,
  () => raise,
  () => class {},
];

const objects = [
  () => ({}),
  () => Object.create(null),
  () => [],
  () => new Date(Number.NaN),
  () => /x/g,
  () => new Map([["blocks", [0]]]),
  () => new Set([1]),
  () => Promise.resolve([1, 2, 3]),
  () => thenable(raise),
  () => thenable(() => undefined),
  () => ({ toString: raise, valueOf: raise }),
  () => ({ [Symbol.toPrimitive]: raise }),
  () => ({ constructor: 1 }),
  () => ({ constructor: { name: Symbol("name") } }),
  () => JSON.parse('{"__proto__": {"blocks": [0]}, "constructor": null}'),
  () =>
    new Proxy({}, { get: raise, has: raise, ownKeys: raise, getOwnPropertyDescriptor: raise, getPrototypeOf: raise }),
  () => new Proxy([], { get: raise }),
  () => new Proxy([1, 2, 3], {}),
  revoked,
  cycle,
  detached,
  shared,
  () => deep(50_000),
  () => Object.defineProperty([1, 2], "1", { get: raise }),
  () => Object.defineProperty({}, "blocks", { get: raise, enumerable: true }),
  () => ({ length: 3, 0: 1, 1: 2, 2: 3 }),
  () => ({ length: 1e9 }),
  () => new Array(2 ** 32 - 1),
  () => Object.assign([], { 5: 1 }),
  () => Array.from({ length: 200_000 }, () => 1),
  () => [1, "2"],
  () => [0.5, -1, Number.NaN],
  () => [2 ** 31, 2 ** 32],
  () => [[]],
  () => [[1, 2], [3], "the", undefined],
  () => new Uint8Array([1, 2, 3]),
  () => new Float32Array([1, 2.5]),
  () => new BigInt64Array([1n, -1n]),
  () => new BigUint64Array([2n ** 63n]),
  () => new DataView(new ArrayBuffer(8)),
  () => new ArrayBuffer(8),
  () => Buffer.from("bytes"),
  () => new Int32Array(0),
  () => new String("boxed"),
  () => new Number(1),
  () => vm.runInNewContext("[1, 2, 3]"),
  () => vm.runInNewContext("({ blocks: [0] })"),
  () => vm.runInNewContext("new Int32Array([1, 2, 3])"),
  () => AbortSignal.abort(mine),
  () => ({ aborted: false, addEventListener: raise }),
  () => Object.create(AbortSignal.prototype),
  () => ({
    *[Symbol.iterator]() {
      yield 1;
      raise();
    },
  }),
  () => new Error("an error"),
  () => globalThis,
];

export const hostile = (random) => random.pick(random.chance(0.5) ? simple : objects)(random);

/** Whether a value is an object whose members can be replaced one by one. */
const isPlain = (value) =>
  // A copy of a longer one would use too much memory of the fuzzer.
  (Array.isArray(value) && value.length <= 1_000_000) ||
  (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype);

/** Returns a valid argument with a hostile part. */
export function spoil(value, random) {
  if (!isPlain(value) || random.chance(0.15)) return hostile(random);
  const keys = Object.keys(value);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  if (keys.length === 0 || random.chance(0.1)) {
    if (Array.isArray(copy)) copy.push(hostile(random));
    else copy[random.pick(["blocks", "mode", "signal", "rows", "unknown", "then", "constructor"])] = hostile(random);
    return copy;
  }
  const key = random.pick(keys);
  copy[key] = spoil(value[key], random);
  return copy;
}
