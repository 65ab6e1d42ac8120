/** Leases as the addon makes them: docs/format.md and docs/server-protocol.md, read a second time by the reference. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { NativeTrust } from '../../src/native/binding.js';
import { call } from '../../src/native/index.js';
import { hex, utf8 } from '../reference/bytes.js';
import { openHeader, sealContainer, splitContainer } from '../reference/container.js';
import { parseHeader, ROLE, signedBytes } from '../reference/header.js';
import { publicOf, verify } from '../reference/primitives.js';
import { codeOf } from '../support/failures.js';
import { type KnownKey, knownKeys, seed, trust, x25519 } from '../support/known-keys.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const make = knownKeys(temporaryFolder('native-lease'), seeded('native-lease'));
const none = new Uint8Array(0);
/** True, or the code of the error. The reference's has none. */
const outcome = async (task: () => unknown): Promise<unknown> => {
  try {
    await task();
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

let device: KnownKey;
let server: KnownKey;
let signing: KnownKey;
beforeAll(async () => {
  [device, server, signing] = [await make('device'), await make('device'), await make('signing')];
});

describe('a lease', () => {
  // Later than the clock of any machine that runs this: what an opening has seen says what time it is.
  const START = 2 ** 40;
  const policy = {
    notBefore: START,
    notAfter: START + 5000,
    offlineUntil: START + 3000,
    leaseId: '01'.repeat(16),
    deviceId: 'fe'.repeat(16),
  };
  const container = () =>
    sealContainer(new Map([['net', utf8('a model')]]), { name: 'net', version: '1', recipients: [{ x25519: x25519(server) }] });
  const lease = (more: object = {}, signer = signing): Promise<Uint8Array> =>
    call((native) =>
      native.rewrap({
        small: splitContainer(container()).small,
        identities: [server.handle],
        hardware: false,
        trust: trust(),
        recipients: [{ kind: 'x25519', publicPart: x25519(device) }],
        lease: { policy: { ...policy, ...more }, signer: signer.handle },
      }),
    );

  const leaseKey = (): Uint8Array => publicOf('ed25519', seed(signing));
  const opens = (small: Uint8Array, more: Partial<NativeTrust>) =>
    call((native) =>
      native.open({ small, identities: [device.handle], hardware: false, trust: { ...trust([], [leaseKey()]), ...more } }),
    );

  it('is a slot with the policy, signed, and opens in its time', async () => {
    const small = await lease();
    const header = parseHeader(small);
    const [slot] = header.slots;
    expect(slot?.policy).toMatchObject({ notBefore: START, notAfter: START + 5000, offlineUntil: START + 3000 });
    expect([slot?.policy?.leaseId, slot?.policy?.deviceId].map((id) => hex(id ?? none))).toEqual([
      policy.leaseId,
      policy.deviceId,
    ]);
    const [signature] = header.signatures;
    const pub = leaseKey();
    expect(signature?.role).toBe(ROLE.lease);
    expect(verify(pub, signedBytes(ROLE.lease, header), signature?.bytes ?? none)).toBe(true);
    expect((await opens(small, { seen: START })).info.slots[0]?.policy).toEqual(policy);
    expect(await codeOf(() => opens(small, { seen: START, leaseKeys: [] }))).toBe('LEASE_UNTRUSTED');
    expect(await codeOf(() => opens(small, { seen: START - 1 }))).toBe('LEASE_NOT_YET_VALID');
    expect(await codeOf(() => opens(small, { seen: START + 5000 }))).toBe('LEASE_EXPIRED');
  });

  it.for([
    [0, 0, false, true],
    [0, 300, true, true],
    [0, 301, true, false],
    [-1, 0, false, false],
    [-1, 0, true, true],
    [-1, 300, true, true],
    [-1, 301, true, false],
    [3000, 3000, false, true],
    [3000, 3001, false, false],
    [3000, 3001, true, false],
    [5000, 4999, false, true],
    [5000, 5000, true, false],
  ] as const)(
    'that is good without its server until %i: at %i, renewed %s, it opens %s, here as in the reference',
    async (given) => {
      const [offlineUntil, now, renewed, expected] = given;
      const small = await lease({ offlineUntil: START + offlineUntil });
      const seen = START + now;
      expect(await outcome(() => opens(small, { seen, renewed }))).toBe(expected || 'LEASE_EXPIRED');
      const identities = [{ x25519: device.raw.slice(0, 32) }];
      const refused = await outcome(() => openHeader(small, identities, { leaseKeys: [leaseKey()], now: seen, renewed }));
      expect(refused === true).toBe(expected);
    },
  );

  it('ends by the clock of the system, however early the caller says it is', async () => {
    const now = Math.floor(Date.now() / 1000);
    const over = await lease({ notBefore: now - 9000, offlineUntil: now - 3600, notAfter: now + 3600 });
    for (const seen of [undefined, 0, now - 9000]) {
      expect(await codeOf(() => opens(over, { seen }))).toBe('LEASE_EXPIRED');
      expect(await codeOf(() => opens(over, { seen, renewed: true }))).toBe('LEASE_EXPIRED');
    }
    await opens(await lease({ notBefore: now - 9000, offlineUntil: now + 3600, notAfter: now + 3600 }), { seen: 0 });
  });

  it('has times in order, ids of 32 hex digits, and a signing key', async () => {
    const wrong = [
      { notBefore: START + 5000 },
      { notBefore: START + 5001 },
      { offlineUntil: START + 5001 },
      { notAfter: -1 },
      { notAfter: 2 ** 53 },
      { leaseId: '01'.repeat(15) },
      { leaseId: `${'01'.repeat(15)}0G` },
      { deviceId: 'FE'.repeat(16) },
    ];
    for (const more of wrong) expect(await codeOf(() => lease(more)), JSON.stringify(more)).toBe('INVALID_ARGUMENT');
    await lease({ offlineUntil: START + 5000 });
    expect(await codeOf(() => lease({}, device))).toBe('KEY_TYPE_WRONG');
  });
});
