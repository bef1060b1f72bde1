import { setImmediate } from "node:timers/promises";

/** The error for a pickle that is not supported. The message completes "expected … but". */
export class PickleError extends Error {}

/** A function or class that a pickle may name and call. */
export class PickledCallable {
  constructor(
    /** Returns the value of a call with these arguments. Throws a {@link PickleError}. */
    readonly call: (args: readonly unknown[]) => unknown,
  ) {}
}

/**
 * A dictionary as a list of alternating keys and values. Not a `Map`, because untrusted keys could all have the same
 * hash, which would make it very slow.
 */
export class PickledDictionary {
  readonly entries: unknown[] = [];
}

/** An object of a class. Only its attributes are kept. */
export class PickledObject {
  attributes = new PickledDictionary();
}

export class PickledTuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** A placeholder for a value that is not needed. Items added to it are dropped. */
export class Ignored {}

export interface PickleNames {
  /**
   * Returns the value of a qualified name ("module.name"). Throws a {@link PickleError} for names that are not allowed.
   */
  find(name: string): unknown;
  /** Returns the value of a persistent id. Throws a {@link PickleError}. */
  persistent(id: unknown): unknown;
}

/** The most operations, to limit time and memory. A checkpoint of a thousand tensors has a hundred thousand. */
const mostOperations = 2_000_000;
/** The most values on the stack, to limit the time of one operation, during which the event loop waits. */
const deepestStack = 100_000;
/** The deepest nesting of collections. */
const mostMarks = 1000;
/** The most bytes of one string. */
const longestString = 2 ** 20;
/** The operations between two turns of the event loop, which take a few milliseconds. */
const sliceOperations = 10_000;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The stack machine that executes a pickle. */
class Machine {
  readonly #bytes: Buffer;
  readonly #names: PickleNames;
  #position = 0;
  readonly #stack: unknown[] = [];
  readonly #marks: number[] = [];
  readonly #memo: unknown[] = [];
  stopped = false;

  constructor(bytes: Buffer, names: PickleNames) {
    this.#bytes = bytes;
    this.#names = names;
  }

  /** Executes at most `count` operations. */
  run(count: number): void {
    for (let done = 0; done < count && !this.stopped; done++) {
      const code = this.byte();
      const operation = operations.get(code);
      if (operation === undefined) {
        throw new PickleError(`its pickle has the operation ${code}, which PyTorch does not write`);
      }
      operation(this);
    }
  }

  take(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw new PickleError("its pickle is cut off");
    const taken = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return taken;
  }

  byte(): number {
    return this.take(1).readUInt8();
  }

  uint32(): number {
    return this.take(4).readUInt32LE();
  }

  length64(): number {
    const length = this.take(8).readBigUInt64LE();
    if (length > this.#bytes.length) throw new PickleError("its pickle is cut off");
    return Number(length);
  }

  text(length: number): string {
    if (length > longestString) {
      throw new PickleError(`its pickle has a string of ${length} bytes, and at most ${longestString} are read`);
    }
    try {
      return utf8.decode(this.take(length));
    } catch (error) {
      if (error instanceof PickleError) throw error;
      throw new PickleError("its pickle has a string that is not UTF-8");
    }
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end === -1) throw new PickleError("its pickle is cut off");
    const text = this.text(end - this.#position);
    this.take(1);
    return text;
  }

  push(value: unknown): void {
    if (this.#stack.length >= deepestStack) {
      throw new PickleError(`its pickle puts more than ${deepestStack} values on the stack`);
    }
    this.#stack.push(value);
  }

  pop(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0))
      throw new PickleError("its pickle pops a value from an empty stack");
    return this.#stack.pop();
  }

  popText(): string {
    const text = this.pop();
    if (typeof text !== "string") throw new PickleError("its pickle has another value instead of a name");
    return text;
  }

  top(): unknown {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  mark(): void {
    if (this.#marks.length >= mostMarks) throw new PickleError(`its pickle nests deeper than ${mostMarks} collections`);
    this.#marks.push(this.#stack.length);
  }

  popToMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new PickleError("its pickle ends a collection that was not begun");
    return this.#stack.splice(mark);
  }

  pushTuple(length: number): void {
    const items = Array.from({ length }, () => this.pop());
    this.push(new PickledTuple(items.reverse()));
  }

  remember(key = this.#memo.length): void {
    if (key >= mostOperations)
      throw new PickleError(`its pickle stores value ${key}, and at most ${mostOperations} are allowed`);
    this.#memo[key] = this.top();
  }

  recall(key: number): void {
    if (!(key in this.#memo)) throw new PickleError(`its pickle reads value ${key}, which it has not stored`);
    this.push(this.#memo[key]);
  }

  pushNamed(module: string, name: string): void {
    this.push(this.#names.find(`${module}.${name}`));
  }

  pushPersistent(): void {
    this.push(this.#names.persistent(this.pop()));
  }

  call(): void {
    const args = this.pop();
    const callee = this.pop();
    if (!(args instanceof PickledTuple)) throw new PickleError("its pickle calls something without arguments");
    if (callee instanceof PickledCallable) this.push(callee.call(args.items));
    else throw new PickleError("its pickle calls a value that is not a function");
  }

  build(): void {
    const state = this.pop();
    const target = this.top();
    // The attributes of dictionaries, such as _metadata, are dropped.
    if (target instanceof PickledObject) {
      if (state instanceof PickledDictionary) target.attributes = state;
    } else if (!(target instanceof PickledDictionary || target instanceof Ignored)) {
      throw new PickleError("its pickle sets attributes of a value that has none");
    }
  }

  append(items: readonly unknown[]): void {
    const target = this.top();
    if (Array.isArray(target)) for (const item of items) target.push(item);
    else if (!(target instanceof Ignored)) throw new PickleError("its pickle appends to a value that is not a list");
  }

  setItems(items: readonly unknown[]): void {
    const target = this.top();
    if (items.length % 2 !== 0) throw new PickleError("its pickle has a key without a value");
    if (target instanceof PickledDictionary) {
      for (const item of items) target.entries.push(item);
    } else if (!(target instanceof Ignored)) {
      throw new PickleError("its pickle sets items of a value that is not a dictionary");
    }
  }

  result(): unknown {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0)
      throw new PickleError("its pickle leaves values on the stack");
    return value;
  }
}

function integer(bytes: Buffer): number | bigint {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  value = BigInt.asIntN(8 * bytes.length, value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function ignoreItems(machine: Machine): void {
  machine.popToMark();
  if (!(machine.top() instanceof Ignored)) throw new PickleError("its pickle adds items to a value that is not a set");
}

/** The operations that torch.save and torch.jit.save write with pickle protocols 2 to 5. Any other one is an error. */
const operations: ReadonlyMap<number, (machine: Machine) => void> = new Map<number, (machine: Machine) => void>([
  // PROTO, FRAME, STOP
  [
    0x80,
    (machine) => {
      const protocol = machine.byte();
      if (protocol < 2 || protocol > 5) throw new PickleError(`its pickle is of protocol ${protocol}, not of 2 to 5`);
    },
  ],
  [0x95, (machine) => void machine.length64()],
  [
    0x2e,
    (machine) => {
      machine.stopped = true;
    },
  ],
  // NONE, NEWTRUE, NEWFALSE
  [0x4e, (machine) => machine.push(undefined)],
  [0x88, (machine) => machine.push(true)],
  [0x89, (machine) => machine.push(false)],
  // BININT, BININT1, BININT2, LONG1, BINFLOAT
  [0x4a, (machine) => machine.push(machine.take(4).readInt32LE())],
  [0x4b, (machine) => machine.push(machine.byte())],
  [0x4d, (machine) => machine.push(machine.take(2).readUInt16LE())],
  [0x8a, (machine) => machine.push(integer(machine.take(machine.byte())))],
  [0x47, (machine) => machine.push(machine.take(8).readDoubleBE())],
  // BINUNICODE, SHORT_BINUNICODE
  [0x58, (machine) => machine.push(machine.text(machine.uint32()))],
  [0x8c, (machine) => machine.push(machine.text(machine.byte()))],
  // BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
  [0x42, (machine) => pushBytes(machine, machine.uint32())],
  [0x43, (machine) => pushBytes(machine, machine.byte())],
  [0x8e, (machine) => pushBytes(machine, machine.length64())],
  [0x96, (machine) => pushBytes(machine, machine.length64())],
  // READONLY_BUFFER, which marks the bytes before it
  [0x98, () => undefined],
  // MARK, EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
  [0x28, (machine) => machine.mark()],
  [0x29, (machine) => machine.push(new PickledTuple([]))],
  [0x74, (machine) => machine.push(new PickledTuple(machine.popToMark()))],
  [0x85, (machine) => machine.pushTuple(1)],
  [0x86, (machine) => machine.pushTuple(2)],
  [0x87, (machine) => machine.pushTuple(3)],
  // EMPTY_LIST, APPEND, APPENDS
  [0x5d, (machine) => machine.push([])],
  [0x61, (machine) => machine.append([machine.pop()])],
  [0x65, (machine) => machine.append(machine.popToMark())],
  // EMPTY_DICT, SETITEM, SETITEMS
  [0x7d, (machine) => machine.push(new PickledDictionary())],
  [
    0x73,
    (machine) => {
      const value = machine.pop();
      machine.setItems([machine.pop(), value]);
    },
  ],
  [0x75, (machine) => machine.setItems(machine.popToMark())],
  // EMPTY_SET, ADDITEMS, FROZENSET
  [0x8f, (machine) => machine.push(new Ignored())],
  [0x90, ignoreItems],
  [
    0x91,
    (machine) => {
      machine.popToMark();
      machine.push(new Ignored());
    },
  ],
  // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
  [0x71, (machine) => machine.remember(machine.byte())],
  [0x72, (machine) => machine.remember(machine.uint32())],
  [0x94, (machine) => machine.remember()],
  [0x68, (machine) => machine.recall(machine.byte())],
  [0x6a, (machine) => machine.recall(machine.uint32())],
  // GLOBAL, STACK_GLOBAL
  [
    0x63,
    (machine) => {
      const module = machine.line();
      machine.pushNamed(module, machine.line());
    },
  ],
  [
    0x93,
    (machine) => {
      const name = machine.popText();
      machine.pushNamed(machine.popText(), name);
    },
  ],
  // BINPERSID, REDUCE, NEWOBJ, BUILD
  [0x51, (machine) => machine.pushPersistent()],
  [0x52, (machine) => machine.call()],
  [0x81, (machine) => machine.call()],
  [0x62, (machine) => machine.build()],
]);

/** Skips bytes, which never contain tensors. */
function pushBytes(machine: Machine, length: number): void {
  machine.take(length);
  machine.push(new Ignored());
}

/**
 * Reads a pickle without running its code. Lists become arrays, and `names` decides the values of names. Only the
 * listed operations are executed, and no property is accessed by a name in the pickle. The event loop gets regular
 * turns. Throws a {@link PickleError}.
 */
export async function unpickle(bytes: Buffer, names: PickleNames): Promise<unknown> {
  const machine = new Machine(bytes, names);
  for (let done = 0; done < mostOperations; done += sliceOperations) {
    machine.run(sliceOperations);
    if (machine.stopped) return machine.result();
    await setImmediate();
  }
  throw new PickleError(`its pickle has more than ${mostOperations} operations`);
}
