/** The changes that a holder of an audit log can make to it, up to the event that a checkpoint covers. */
import fc from 'fast-check';
import { exported, type SampleLog } from './audit-log.js';

export interface Place {
  /** An event. */
  readonly n: number;
  readonly other: number;
  /** A byte of the covered part. */
  readonly offset: number;
  readonly mask: number;
}

/** Every kind of change, at every place. */
export function tampering(log: SampleLog, covered: number) {
  const bytes = exported(log.lines);
  const last = log.lines.length - 1;
  const coveredBytes = exported(log.lines.slice(0, covered + 1)).length;
  const line = (n: number): string => log.lines[n] as string;
  const spliced = (n: number, removed: number, ...added: string[]): string[] => {
    const lines = [...log.lines];
    lines.splice(n, removed, ...added);
    return lines;
  };
  const exchanged = (a: number, b: number): string[] => {
    const lines = spliced(a, 1, line(b));
    lines[b] = line(a);
    return lines;
  };
  const patched = (from: number, to: number, ...between: number[]): Buffer =>
    Buffer.concat([bytes.subarray(0, from), Buffer.from(between), bytes.subarray(to)]);

  const changes: Record<string, (place: Place) => Uint8Array> = {
    'a byte changed': ({ offset, mask }) => patched(offset, offset + 1, (bytes[offset] as number) ^ mask),
    'a byte removed': ({ offset }) => patched(offset, offset + 1),
    'a byte added': ({ offset, mask }) => patched(offset, offset, mask),
    'an outcome rewritten': ({ n }) => exported(spliced(n, 1, line(n).replace(/"outcome":"[a-z]+"/, '"outcome":"rewritten"'))),
    'members in another order': ({ n }) => {
      const { seq, ...rest } = JSON.parse(line(n)) as Record<string, unknown>;
      return exported(spliced(n, 1, JSON.stringify({ ...rest, seq })));
    },
    'an event removed': ({ n }) => exported(spliced(n, 1)),
    'an event removed and the rest renumbered': ({ n }) => exported(renumbered(spliced(n, 1))),
    'an event twice': ({ n }) => exported(spliced(n, 0, line(n - 1))),
    'an event twice and the rest renumbered': ({ n }) => exported(renumbered(spliced(n, 0, line(n - 1 || last)))),
    'an event inserted': ({ n }) => exported(spliced(n, 0, line(last))),
    'an event replaced by another and renumbered': ({ n, other }) => exported(renumbered(spliced(n, 1, line(other)))),
    'two events exchanged': ({ n, other }) => exported(exchanged(n, other)),
    'two events exchanged and renumbered': ({ n, other }) => exported(renumbered(exchanged(n, other))),
    'an empty line': ({ n }) => exported(spliced(n, 0, '')),
    'line ends of another system': ({ n }) => exported(spliced(n, 1, `${line(n)}\r`)),
    'its end cut off': ({ offset }) => bytes.subarray(0, offset),
  };
  const event = fc.integer({ min: 1, max: covered });
  const places = fc
    .record({
      n: event,
      other: event,
      offset: fc.integer({ min: 0, max: coveredBytes - 1 }),
      mask: fc.integer({ min: 1, max: 255 }),
    })
    .filter(({ n, other }) => n !== other);
  return { changes, places };
}

/** So that each line says the number that belongs there. */
const renumbered = (lines: readonly string[]): string[] =>
  lines.map((text, n) => (n === 0 ? text : text.replace(/^\{"seq":\d+/, `{"seq":${n}`)));
