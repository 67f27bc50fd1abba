// Whether long lines are wrapped: kept as one left it.

const KEY = "fornax.layout.log.wrap";

/** A browser may refuse to keep anything. */
export function keptWrap(): boolean {
  try {
    return localStorage.getItem(KEY) === "yes";
  } catch {
    return false;
  }
}

export function keepWrap(wrap: boolean): void {
  try {
    localStorage.setItem(KEY, wrap ? "yes" : "no");
  } catch {
    // See `keptWrap`.
  }
}
