/**
 * A clock that was ahead once, and what makes up for it. If these fail, one wrong clock locks a device out until that time has really
 * come, or a device whose clock is set back opens leases that are over.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { load, type ModelGuardError } from '../../src/index.js';
import { codeOf, failureOf } from '../support/failures.js';
import { type FakeClient, fakeClient } from '../support/fake-client.js';
import type { Asked, Reply } from '../support/fake-guard.js';
import { lease, useTrustLab } from '../support/trust-lab.js';

const { fake, stranger, newState, client } = useTrustLab('clock-correction');
/** Within the offline time of the lab's leases, and far beyond what clocks may differ by. */
const AHEAD = 1800;

/** With the server; and the same device without it. Its clock was ahead while it used its kept lease, and is right again. */
let online: FakeClient;
let offline: FakeClient;
beforeEach(async () => {
  const state = newState();
  online = client({ state });
  offline = fakeClient(fake, { state, device: online.device, url: 'http://127.0.0.1:1' });
  await lease(online);
  offline.clock.wall = fake.now + AHEAD;
  expect((await lease(offline)).source).toBe('kept');
  offline.clock.wall = fake.now;
  fake.asked.length = 0;
});

describe('after a clock was ahead once', () => {
  it.each<[string, (one: FakeClient) => Promise<unknown>]>([
    ['a lease', lease],
    ['the newest version', ({ guard }) => guard.latest('net')],
    ['a load', async ({ guard }) => (await load('net@1', { from: guard, cache: false })).dispose()],
    ['a load of the newest version', async ({ guard }) => (await load('net', { from: guard, cache: false })).dispose()],
  ])('%s is refused without the server, and says that the server corrects it; with it, it works', async (_, task) => {
    const refused = await failureOf(() => task(offline));
    expect(refused.code).toBe('CLOCK_SET_BACK');
    expect(refused.message).toMatch(/let this device reach the guard server/);
    expect((refused.cause as ModelGuardError).code).toBe('SERVER_UNREACHABLE');
    await task(online);
    // For good: the kept lease opens without the server too.
    expect((await lease(offline)).source).toBe('kept');
    expect(fake.count('serverKey')).toBeLessThanOrEqual(2);
  });

  it('a server that does not answer once is asked again', async () => {
    fake.times(1, 'serverKey', () => ({ status: 503, bytes: Buffer.from('a page') }));
    expect((await lease(online)).source).toBe('server');
  });

  it('the time that was seen moves on from the right one', async () => {
    await lease(online);
    offline.clock.wall = fake.now + 600;
    await lease(offline);
    offline.clock.wall = fake.now + 400;
    expect(await codeOf(() => lease(offline))).toBe('CLOCK_SET_BACK');
  });

  it('an abort ends the question', async () => {
    const controller = new AbortController();
    fake.on('serverKey', () => {
      controller.abort('enough');
      return undefined;
    });
    const error = await failureOf(() => online.guard.lease('net@1', { signal: controller.signal }));
    expect(error).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
  });
});

describe('what was seen does not give way to', () => {
  const proof = (asked: Asked, more: Parameters<typeof fake.sayKey>[1] = {}, key = fake.signing): Reply => ({
    json: { statement: fake.sayKey(asked.query, more, key), succession: [] },
  });
  /** Whether the correction is refused, with this code as its reason, and nothing is changed by it. */
  const refuses = async (code: string | undefined): Promise<void> => {
    const error = await failureOf(() => lease(online));
    expect(error.code).toBe('CLOCK_SET_BACK');
    expect((error.cause as ModelGuardError | undefined)?.code).toBe(code);
    expect(fake.count('takeLease')).toBe(0);
    fake.restore();
    expect(await codeOf(() => lease(offline))).toBe('CLOCK_SET_BACK');
  };

  it('the statement of an earlier question', async () => {
    let earlier: Asked | undefined;
    fake.on('serverKey', (asked) => {
      earlier = asked;
      return proof(asked);
    });
    await client().guard.login();
    fake.on('serverKey', () => proof(earlier as Asked));
    await refuses('SERVER_UNTRUSTED');
  });

  it('the statement of a stranger', async () => {
    fake.on('serverKey', (asked) => proof(asked, {}, stranger));
    await refuses('SERVER_UNTRUSTED');
  });

  it('the statement of another time than the clock shows', async () => {
    for (const off of [-121, 121, AHEAD]) {
      fake.on('serverKey', (asked) => proof(asked, { time: fake.now + off }));
      await refuses('CLOCK_SKEWED');
    }
  });

  it('a clock that is really behind', async () => {
    online.clock.wall = fake.now - 600;
    await refuses('CLOCK_SKEWED');
  });

  it('an answer that was held back, by a clock that was stopped meanwhile', async () => {
    fake.on('serverKey', (asked) => {
      online.clock.boottime += 600;
      return proof(asked);
    });
    await refuses(undefined);
  });
});
