/** How often a server is asked again. Too rarely, and a restart of it fails users; too often, and clients keep it down. */
import { describe, expect, it } from 'vitest';
import { pace, retryAfter, withRetries } from '../../src/http/retry.js';
import { type RetryHint, withRetryHint } from '../../src/http/retry-hints.js';
import { ModelGuardError } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { NotedPace } from '../support/fake-client.js';

const failing = (hint?: RetryHint): ModelGuardError => {
  const error = new ModelGuardError('SERVER_FAILED', 'no');
  return hint ? withRetryHint(error, hint) : error;
};
async function run(
  hint: RetryHint | undefined,
  repeatable: boolean,
  failures: number,
  bounds: { attempts?: number; patience?: number } = {},
): Promise<{ tries: number; pauses: number[]; ended: string }> {
  const noted = new NotedPace();
  let tries = 0;
  const ended = await withRetries({ pace: noted, repeatable, ...bounds }, async () => {
    tries += 1;
    if (tries <= failures) throw failing(hint);
    return 'answered';
  }).catch((error: ModelGuardError) => error.code);
  return { tries, pauses: noted.pauses, ended };
}

describe('asking again', () => {
  it('four times at most, with pauses that double', async () => {
    expect(await run({ effect: 'unknown' }, true, 99)).toEqual({ tries: 4, pauses: [200, 400, 800], ended: 'SERVER_FAILED' });
    expect(await run({ effect: 'unknown' }, true, 2)).toEqual({ tries: 3, pauses: [200, 400], ended: 'answered' });
  });
  it('not what is final', async () => {
    expect(await run(undefined, true, 99)).toEqual({ tries: 1, pauses: [], ended: 'SERVER_FAILED' });
  });
  it('what must not be done twice only if the server did nothing', async () => {
    expect((await run({ effect: 'unknown' }, false, 99)).tries).toBe(1);
    expect((await run({ effect: 'undone' }, false, 99)).tries).toBe(4);
  });
  it('as late as the server wants, but not as late as it likes', async () => {
    // The time is the server's, and chance is added to it: clients that were told the same do not come back together.
    expect((await run({ effect: 'undone', after: 7000 }, false, 1)).pauses).toEqual([7200]);
    expect((await run({ effect: 'undone', after: 60_000 }, false, 1)).ended).toBe('answered');
    expect((await run({ effect: 'undone', after: 900_000 }, false, 1)).tries).toBe(1);
  });
  it('with pauses that are announced one after the other no longer than the patience in all', async () => {
    expect(await run({ effect: 'undone', after: 60_000 }, false, 99)).toMatchObject({ tries: 3, ended: 'SERVER_FAILED' });
    expect(await run({ effect: 'undone', after: 2000 }, false, 99, { patience: 3000 })).toMatchObject({ tries: 2 });
    expect(await run({ effect: 'undone', after: 0 }, false, 99, { patience: 0 })).toMatchObject({ tries: 4 });
  });
  it('briefly: only after a pause that was announced', async () => {
    const brief = { attempts: 1, patience: 5000 };
    expect(await run({ effect: 'undone', after: 2000 }, true, 1, brief)).toMatchObject({ pauses: [2200], ended: 'answered' });
    expect((await run({ effect: 'undone', after: 6000 }, true, 1, brief)).tries).toBe(1);
    expect((await run({ effect: 'undone' }, true, 1, brief)).tries).toBe(1);
    expect((await run({ effect: 'unknown', after: 1000 }, true, 1, brief)).tries).toBe(1);
    expect((await run({ effect: 'undone', after: 1000 }, true, 1, { attempts: 1 })).tries).toBe(1);
  });
  it('no more once it is aborted, in a pause either', async () => {
    const controller = new AbortController();
    const waiting = withRetries({ pace, repeatable: true, signal: controller.signal }, async () => {
      setImmediate(() => controller.abort('enough'));
      throw failing({ effect: 'undone', after: 9999 });
    });
    expect(await failureOf(() => waiting)).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
  });
});

it.each<[string | undefined, number | undefined]>([
  [undefined, undefined],
  ['0', 0],
  ['120', 120_000],
  ['Thu, 01 Jan 1970 00:00:10 GMT', 9000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', undefined],
  ['9'.repeat(20), undefined],
])('Retry-After: %s is %s ms', (header, expected) => {
  expect(retryAfter(header, 1000)).toBe(expected);
});
