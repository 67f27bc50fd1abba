// What can be handed from thread to thread without a copy.

/** The buffers in a message, to be handed over instead of copied. */
export function buffersOf(value: unknown, found: ArrayBuffer[] = []): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) found.push(value.buffer as ArrayBuffer);
  else if (typeof value === "object" && value !== null)
    for (const part of Object.values(value)) buffersOf(part, found);
  return found;
}
