/** Parses `Range` headers (RFC 9110, section 14). */

/** `whole` also for headers that may be ignored: other units, several ranges, bad syntax. */
export type ByteRange = 'whole' | 'unsatisfiable' | { readonly start: number; readonly end: number };

/** `end` is the last byte. */
export function parseRange(header: string | undefined, size: number): ByteRange {
  const found = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header?.replace(/[ \t]/g, '') ?? '');
  const [, first = '', last = ''] = found ?? [];
  if (!found || (first === '' && last === '')) return 'whole';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return 'whole';
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}
