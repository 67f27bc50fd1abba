// The ticks of the axis, whether it is time or a count. Pure.

export interface Tick {
  /** A moment, or a count. */
  readonly at: number;
  readonly label: string;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  30 * DAY,
];

/**
 * Ticks at round times of the day, at least `spacing_ms` apart. `offset_ms` is how far local time is
 * ahead of UTC.
 */
export function ticks(
  from_ms: number,
  to_ms: number,
  spacing_ms: number,
  offset_ms: number,
): Tick[] {
  const step =
    STEPS.find((each) => each >= spacing_ms) ?? Math.ceil(spacing_ms / (30 * DAY)) * 30 * DAY;
  const made: Tick[] = [];
  for (
    let local = Math.ceil((from_ms + offset_ms) / step) * step;
    local <= to_ms + offset_ms;
    local += step
  ) {
    made.push({ at: local - offset_ms, label: label(local, step) });
  }
  return made;
}

/** Ticks at round counts, at least `spacing` apart. */
export function countTicks(
  from: number,
  to: number,
  spacing: number,
  write: (count: number) => string,
): Tick[] {
  const power = 10 ** Math.floor(Math.log10(spacing));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= spacing * 0.999) ?? 10);
  const made: Tick[] = [];
  for (let i = Math.ceil(Math.max(from, 0) / step); i * step <= to; i++)
    made.push({ at: i * step, label: write(i * step) });
  return made;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function label(local_ms: number, step: number): string {
  const date = new Date(local_ms);
  if (local_ms % DAY === 0) return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  if (step >= MINUTE) return minutes;
  const seconds = `${minutes}:${two(date.getUTCSeconds())}`;
  return step >= SECOND
    ? seconds
    : `${seconds}.${String(date.getUTCMilliseconds()).padStart(3, "0")}`;
}
