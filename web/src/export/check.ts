// Checks of values that came from outside: each takes a value and its place, and throws where it is wrong.

export class Invalid extends Error {
  constructor(
    /** Where, such as `frames[3].status`. */
    readonly at: string,
    readonly why: string,
  ) {
    super(`${at} ${why}`);
  }
}

export type Check<T> = (value: unknown, at: string) => T;

const LONGEST_TEXT = 4 * 1_024 * 1_024;
/** The year 2200: later moments, and longer lengths, are none. */
const LAST_MS = 7_258_118_400_000;

function kind(value: unknown): string {
  return value === null
    ? "null"
    : Array.isArray(value)
      ? "a list"
      : value === undefined
        ? "missing"
        : `a ${typeof value}`;
}

export const text: Check<string> = (value, at) => {
  if (typeof value !== "string") throw new Invalid(at, `is ${kind(value)}, not a text`);
  if (value.length > LONGEST_TEXT) throw new Invalid(at, "is too long a text");
  return value;
};

export const flag: Check<boolean> = (value, at) => {
  if (typeof value !== "boolean") throw new Invalid(at, `is ${kind(value)}, not true or false`);
  return value;
};

/** A number that counts, or a moment. */
export const number: Check<number> = (value, at) => {
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new Invalid(at, `is ${kind(value)}, not a number`);
  if (value < 0 || value > LAST_MS) throw new Invalid(at, "is below 0 or too large");
  return value;
};

export const integer: Check<number> = (value, at) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw new Invalid(at, `is ${kind(value)}, not a whole number`);
  return value;
};

export function maybe<T>(check: Check<T>): Check<T | null> {
  return (value, at) => (value === null ? null : check(value, at));
}

/** For a field that may be absent. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value, at) => (value === undefined ? undefined : check(value, at));
}

export function oneOf<T extends string>(words: readonly T[]): Check<T> {
  return (value, at) => {
    const found = words.find((each) => each === value);
    if (found === undefined)
      throw new Invalid(
        at,
        `is ${typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : kind(value)}, none of ${words.join(", ")}`,
      );
    return found;
  };
}

export function list<T>(check: Check<T>, most = 100_000): Check<T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) throw new Invalid(at, `is ${kind(value)}, not a list`);
    if (value.length > most) throw new Invalid(at, `has more than ${most} entries`);
    value.forEach((entry, i) => check(entry, `${at}[${i}]`));
    return value as T[];
  };
}

export const keys: Check<Record<string, unknown>> = (value, at) => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Invalid(at, `is ${kind(value)}, not an object`);
  return value as Record<string, unknown>;
};

/** An object with these fields and no other. */
export function shape<T extends object>(fields: {
  [F in keyof Required<T>]: Check<T[F]>;
}): Check<T> {
  const checks = Object.entries(fields) as [string, Check<unknown>][];
  const known = new Set(Object.keys(fields));
  return (value, at) => {
    const found = keys(value, at);
    for (const [name, check] of checks)
      check(
        Object.hasOwn(found, name) ? found[name] : undefined,
        at === "" ? name : `${at}.${name}`,
      );
    for (const name of Object.keys(found))
      if (!known.has(name))
        throw new Invalid(
          at,
          `has a field that is not known: ${JSON.stringify(name.slice(0, 80))}`,
        );
    return found as T;
  };
}
