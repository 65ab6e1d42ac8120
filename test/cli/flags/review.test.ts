/** A decision at the command line is about a payload that was seen. If these fail, a version is released that was never looked at. */
import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { reviewedPayload } from '../../../src/cli/flags/review.js';
import type { GuardServer } from '../../../src/index.js';
import { failureOf } from '../../support/failures.js';

const PAYLOAD = 'ab'.repeat(16);
const DIGEST = 'cd'.repeat(32);
const guard = () => ({ models: { get: vi.fn(async () => ({ name: 'net', version: '1', payloadId: PAYLOAD, digest: DIGEST })) } });
const { signal } = new AbortController();
function terminal(isTTY = true) {
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = new PassThrough();
  return { input, output, shown: () => String(output.read() ?? '') };
}

describe('the payload of a decision', () => {
  it('is the one of the flag, without a question', async () => {
    const asked = guard();
    const payload = reviewedPayload(asked as unknown as GuardServer, 'net@1', { payload: 'cd' }, { signal }, terminal(false));
    expect(await payload).toBe('cd');
    expect(asked.models.get).not.toHaveBeenCalled();
  });

  it('is shown at a terminal, and taken for a yes alone', async () => {
    for (const [answer, taken] of [
      ['yes', true],
      ['y', false],
      ['', false],
    ] as const) {
      const { shown, ...streams } = terminal();
      const payload = reviewedPayload(guard() as unknown as GuardServer, 'net@1', {}, { signal }, streams);
      await new Promise(setImmediate);
      streams.input.write(`${answer}\r`);
      if (taken) expect(await payload).toBe(PAYLOAD);
      else expect((await failureOf(() => payload)).code).toBe('ABORT_ERR');
      // Under the labels that publish prints: what was published is what is reviewed.
      const lines = shown();
      expect(lines).toMatch(new RegExp(`^ *payload id +${PAYLOAD}$`, 'm'));
      expect(lines).toMatch(new RegExp(`^ *payload digest +${DIGEST}$`, 'm'));
    }
  });

  it('is required without a terminal: the error names the flag', async () => {
    const asked = guard();
    const failed = await failureOf(() =>
      reviewedPayload(asked as unknown as GuardServer, 'net@1', {}, { signal }, terminal(false)),
    );
    expect(failed.code).toBe('INVALID_ARGUMENT');
    expect(failed.message).toContain('--payload');
    expect(asked.models.get).not.toHaveBeenCalled();
  });
});
