/** Progress on stderr. If these fail, a pipeline's log or a terminal shows something else than how far it is. */
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ProgressDisplay } from '../../src/cli/progress.js';
import { formatSeconds } from '../../src/cli/text.js';
import type { Progress } from '../../src/index.js';

const MIB = 1024 * 1024;
const at = (bytes: number, rest: Partial<Progress> = {}): Progress => ({
  phase: 'upload',
  bytes: bytes * MIB,
  total: 100 * MIB,
  rate: 0,
  ...rest,
});

/** The text on a stream; `isTTY` tells whether it is a terminal. */
function shown(reports: readonly Progress[], isTTY = false): string {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  const display = new ProgressDisplay(Object.assign(stream, { isTTY, columns: 120 }) as unknown as NodeJS.WriteStream);
  for (const report of reports) display.update(report);
  display.stop();
  return text;
}

describe('progress without a terminal', () => {
  it('is a line per quarter, with the speed and what is left', () => {
    const reports = [
      at(0),
      at(10, { rate: 2 * MIB, remaining: 45 }),
      at(30, { rate: 2 * MIB, remaining: 95.2 }),
      at(80, { rate: MIB, remaining: 20 }),
      at(100, { rate: MIB, remaining: 0 }),
    ];
    expect(shown(reports)).toBe(
      'uploading 0 % of 100.0 MiB\n' +
        'uploading 30 % of 100.0 MiB, 2.0 MiB/s, 1 min 36 s left\n' +
        'uploading 80 % of 100.0 MiB, 1.0 MiB/s, 20 s left\n' +
        'uploading 100 % of 100.0 MiB, 1.0 MiB/s\n',
    );
  });

  it('says once that a phase is whole, and begins anew with the next', () => {
    const whole = at(100, { remaining: 0 });
    const next = at(100, { phase: 'verify', remaining: 0 });
    expect(shown([whole, whole, whole, next, next])).toBe('uploading 100 % of 100.0 MiB\nverifying 100 % of 100.0 MiB\n');
    expect(shown([whole, at(50), at(60)])).toBe('uploading 100 % of 100.0 MiB\nuploading 50 % of 100.0 MiB\n');
  });
});

describe('progress on a terminal', () => {
  it('is one bar with the speed and what is left', () => {
    const text = shown([at(0), at(50, { rate: 2 * MIB, remaining: 25 }), at(100, { rate: MIB, remaining: 0 })], true);
    expect(text).toContain('100 % of 100.0 MiB, 1.0 MiB/s');
    expect(text.match(/\n/g), 'more than the bar was written').toHaveLength(1);
  });
});

describe('seconds', () => {
  it.each([
    [0.2, '1 s'],
    [59.9, '1 min 0 s'],
    [3599, '59 min 59 s'],
    [7500, '2 h 5 min'],
  ])('%d', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
});
