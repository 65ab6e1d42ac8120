/** Protecting a 2 GiB model takes less than 200 MiB, loading it at most 5 % more than the model itself. */
import { describe, expect, it } from 'vitest';
import { describeMeasured, measure } from '../../bench/large-file.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { temporaryFolder } from '../support/temp.js';

const MIB = 2 ** 20;
/** The memory of Node itself differs by this much between two processes: 5 % of a model that is scaled down would be less. */
const RUNTIME = 32 * MIB;
const folder = temporaryFolder('large');

describe('a large model', () => {
  it('is protected in little memory, and loaded in its own size', async () => {
    const bytes = scaled(2048, 256) * MIB;
    for (const measured of await measure(bytes, folder)) {
      print(`large file: ${describeMeasured(measured)}`);
      expect(measured.same, 'what was loaded is not what was protected').toBe(true);
      expect(measured.protect.peakBytes, 'protect holds more of the model than it may').toBeLessThan(200 * MIB);
      expect(measured.load.peakBytes, 'load holds more than the model').toBeLessThanOrEqual(
        bytes + Math.max(0.05 * bytes, RUNTIME) + measured.baseline,
      );
    }
  });
});
