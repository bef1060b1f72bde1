/** Returns the properties with these names. A property that is absent stays absent. */
export function pick<Value extends object, Key extends keyof Value & string>(
  value: Value,
  keys: readonly Key[],
): Pick<Value, Key> {
  const wanted = new Set<string>(keys);
  return Object.fromEntries(Object.entries(value).filter(([key]) => wanted.has(key))) as Pick<Value, Key>;
}
