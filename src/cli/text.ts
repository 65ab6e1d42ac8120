/** Formats text, tables, sizes and times. Control characters are replaced, so that no name from outside steers a terminal or fakes a line. */

/** Controls of terminals and of writing direction. */
const STEERING = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** One line without control characters. */
export const plain = (text: string): string => text.replace(STEERING, '\ufffd');
/** Several lines without control characters. */
export const plainLines = (text: string): string => text.split('\n').map(plain).join('\n');
/** JSON with all control characters escaped. */
export const plainJson = (value: unknown): string =>
  JSON.stringify(value).replace(STEERING, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Rounded up: `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function columns(given: readonly (readonly string[])[]): string {
  const lines = given.map((line) => line.map(plain));
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) => `  ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd()).join('\n');
}

/** Two columns. */
export const rows = (pairs: readonly (readonly [string, string])[]): string => columns(pairs);

/** Seconds since 1970 as `2026-01-31T08:00:00Z`; empty for undefined. */
export const timeText = (seconds: number | undefined): string =>
  seconds === undefined ? '' : `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
