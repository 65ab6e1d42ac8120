/**
 * The report of `npm run bench`: if its arithmetic were wrong, so would be every claim about speed. Ratios compare values of the same round:
 * a ratio of medians would compare values that a busy machine took minutes apart.
 */
import { expect, test } from 'vitest';
import { drawBars } from '../../bench/compare/picture.js';
import { BASES, tablesOf } from '../../bench/compare/report.js';
import type { Subject } from '../../bench/compare/subject.js';

const GB = 1e9;
const MIB = 2 ** 20;
const ours: Subject = { name: 'ours', kind: 'load', start: () => Promise.reject(new Error('not started')) };

test('speeds are medians with their range, ratios are taken within a round', () => {
  const text = tablesOf([
    {
      bytes: GB,
      cold: false,
      series: [
        // Speeds of 1, 2 and 4 GB/s; each round twice as fast as the plain file, but for the last, which is as fast.
        { subject: ours, seconds: [1, 0.5, 0.25], grown: [2 * MIB, 3 * MIB, 5 * MIB] },
        { subject: BASES.load, seconds: [2, 1, 0.25], grown: [undefined, undefined, undefined] },
        { subject: { ...ours, name: 'absent' }, seconds: [], grown: [], missing: 'not installed' },
      ],
    },
  ]);
  const [, , , , first, base, absent] = text.split('\n');
  expect(first).toBe('| ours | 500 | 2.00 (1.00–4.00) | 2.00 | 3 |');
  expect(base).toBe('| fs.readFile, plain | 1000 | 1.00 (0.50–4.00) | 1.00 | – |');
  expect(absent).toBe('| absent | missing: not installed | | | |');
});

test('a kind without subjects has no table', () => {
  const text = tablesOf([{ bytes: 64 * 1024, cold: true, series: [{ subject: ours, seconds: [0.001], grown: [undefined] }] }]);
  expect(text).toContain('**Load, 64 KiB, cold**');
  expect(text).not.toContain('Protect');
});

test('bars are as long as their values, and names are escaped', () => {
  const svg = drawBars('Speed', [
    { name: 'model-guard <a & b>', value: 4 },
    { name: 'other', value: 1 },
  ]);
  const widths = [...svg.matchAll(/<rect [^>]*width="(\d+)"/g)].map(([, width]) => Number(width));
  expect(widths[0]).toBe(4 * Number(widths[1]));
  expect(svg).toContain('model-guard &lt;a &amp; b>');
});
