/** Where trust is tried: a server that a test makes lie, and clients that pinned its key. */
import path from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { SigningKey } from '../../src/index.js';
import { type FakeClient, type FakeClientOptions, fakeClient } from './fake-client.js';
import { type Asked, FakeGuard } from './fake-guard.js';
import { seeded } from './seed.js';
import { temporaryFolder } from './temp.js';

type Lies = Parameters<FakeGuard['grant']>[2];

export const lease = ({ guard }: FakeClient) => guard.lease('net@1');

/** For the tests of a file: a server that listens, has net@1 before net@0, and other@1, and is honest again after every test. */
export function useTrustLab(label: string) {
  const base = temporaryFolder(label);
  const fake = new FakeGuard();
  const plain = seeded(label).bytes(200_000);
  let folders = 0;
  beforeAll(async () => {
    await fake.listen();
    await fake.publish('net', '1', 7, plain);
    await fake.publish('net', '0', 3, plain);
    await fake.publish('other', '1', 1, plain);
  });
  afterAll(() => fake.close());
  afterEach(() => {
    fake.restore();
    fake.seq = 10;
    fake.head = 'ab'.repeat(48);
  });
  const newState = (): string => path.join(base, `state-${folders++}`);
  /** The answer to a lease request, with lies. */
  const grant = async ({ json }: Asked, lies?: Lies, key?: SigningKey) => {
    const asked = json as { device: string; name: string; version: string };
    return { ...(await fake.grant(asked, fake.devices.get(asked.device) ?? '', lies, key)), ...fake.history(json) };
  };
  return {
    base,
    fake,
    plain,
    stranger: SigningKey.generate(),
    newState,
    client: (more: Partial<FakeClientOptions> = {}): FakeClient => fakeClient(fake, { state: newState(), ...more }),
    grant,
    /** Answers leases with lies. */
    lying: (lies: () => Lies, key?: SigningKey): void =>
      fake.on('takeLease', async (asked) => ({ status: 201, json: await grant(asked, lies(), key) })),
  };
}
