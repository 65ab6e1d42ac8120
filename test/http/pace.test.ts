/** How often a server is asked again. Too rarely, and a restart of it fails users; too often, and clients keep it down. */
import { describe, expect, it } from 'vitest';
import { type Hint, hinted } from '../../src/http/hints.js';
import { pace, retried, retryAfter } from '../../src/http/pace.js';
import { ModelGuardError } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { NotedPace } from '../support/fake-client.js';

const failing = (hint?: Hint): ModelGuardError => {
  const error = new ModelGuardError('SERVER_FAILED', 'no');
  return hint ? hinted(error, hint) : error;
};
async function run(
  hint: Hint | undefined,
  repeatable: boolean,
  failures: number,
): Promise<{ tries: number; pauses: number[]; ended: string }> {
  const noted = new NotedPace();
  let tries = 0;
  const ended = await retried({ pace: noted, repeatable }, async () => {
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
    expect((await run({ effect: 'undone', after: 7000 }, false, 1)).pauses).toEqual([7000]);
    expect((await run({ effect: 'undone', after: 900_000 }, false, 1)).tries).toBe(1);
  });
  it('no more once it is aborted, in a pause either', async () => {
    const controller = new AbortController();
    const waiting = retried({ pace, repeatable: true, signal: controller.signal }, async () => {
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
