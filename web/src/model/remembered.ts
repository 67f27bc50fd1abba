// What is asked for again as it was, such as by a view that is opened again. Pure, but for what it remembers.

/** `make`, but asked again about the same thing with the same arguments, it gives what it gave last. */
export function remembered<K extends object, A extends readonly unknown[], T>(
  make: (of: K, ...args: A) => T,
): (of: K, ...args: A) => T {
  const last = new WeakMap<K, { args: A; made: T }>();
  return (of, ...args) => {
    const known = last.get(of);
    if (known && args.every((arg, i) => Object.is(arg, known.args[i]))) return known.made;
    const made = make(of, ...args);
    last.set(of, { args, made });
    return made;
  };
}
