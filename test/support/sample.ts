/** MG_SCALE makes long tests shorter: 1 (or absent) is the whole, 0.1 a tenth. */
const scale = Number(process.env.MG_SCALE ?? '1');

/** `full` times MG_SCALE, never below `least`. */
export function scaled(full: number, least: number): number {
  if (!(scale > 0)) throw new RangeError('MG_SCALE must be a number above 0');
  return Math.max(Math.min(least, full), Math.round(full * scale));
}
