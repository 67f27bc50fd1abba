// Lines in an address: `#L120`, or `#L120-L140`. Pure.

export interface Lines {
  readonly from: number;
  readonly to: number;
}

/** Reads `120`, `120-140`, `L120-L140`, with or without `#`; null where it names no lines. */
export function readLines(text: string): Lines | null {
  const [, first, last] = /^#?L?(\d{1,15})(?:-L?(\d{1,15}))?$/i.exec(text.trim()) ?? [];
  if (first === undefined) return null;
  const [one, other] = [Number(first), Number(last ?? first)];
  if (one === 0 || other === 0) return null;
  return { from: Math.min(one, other), to: Math.max(one, other) };
}

export function hashOf({ from, to }: Lines): string {
  return from === to ? `#L${from}` : `#L${from}-L${to}`;
}
