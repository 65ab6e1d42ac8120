/** Leases as the addon makes them: docs/format.md and docs/server-protocol.md, read a second time by the reference. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { NativeTrust } from '../src/native/binding.js';
import { call } from '../src/native/index.js';
import { hex, utf8 } from './reference/bytes.js';
import { sealContainer, splitContainer } from './reference/container.js';
import { parseHeader, ROLE, signedBytes } from './reference/header.js';
import { publicOf, verify } from './reference/primitives.js';
import { failureOf } from './support/failures.js';
import { type KnownKey, knownKeys, seed, trust, x25519 } from './support/known-keys.js';
import { seeded } from './support/seed.js';
import { temporaryFolder } from './support/temp.js';

const make = knownKeys(temporaryFolder('native-lease'), seeded('native-lease'));
const none = new Uint8Array(0);
const codeOf = async (task: () => unknown): Promise<string> => (await failureOf(task)).code;

let device: KnownKey;
let server: KnownKey;
let signing: KnownKey;
beforeAll(async () => {
  [device, server, signing] = [await make('device'), await make('device'), await make('signing')];
});

describe('a lease', () => {
  const policy = { notBefore: 100, notAfter: 200, offlineUntil: 180, leaseId: '01'.repeat(16), deviceId: 'fe'.repeat(16) };
  const container = () =>
    sealContainer(new Map([['net', utf8('a model')]]), { name: 'net', version: '1', recipients: [{ x25519: x25519(server) }] });
  const lease = (more: object = {}, signer = signing): Promise<Uint8Array> =>
    call((native) =>
      native.rewrap({
        small: splitContainer(container()).small,
        identities: [server.handle],
        hardware: false,
        trust: trust(),
        recipients: [{ x25519: x25519(device) }],
        lease: { policy: { ...policy, ...more }, signer: signer.handle },
      }),
    );

  it('is a slot with the policy, signed, and opens in its time', async () => {
    const small = await lease();
    const header = parseHeader(small);
    const [slot] = header.slots;
    expect(slot?.policy).toMatchObject({ notBefore: 100, notAfter: 200, offlineUntil: 180 });
    expect([slot?.policy?.leaseId, slot?.policy?.deviceId].map((id) => hex(id ?? none))).toEqual([
      policy.leaseId,
      policy.deviceId,
    ]);
    const [signature] = header.signatures;
    const pub = publicOf('ed25519', seed(signing));
    expect(signature?.role).toBe(ROLE.lease);
    expect(verify(pub, signedBytes(ROLE.lease, header), signature?.bytes ?? none)).toBe(true);
    const opens = (t: NativeTrust) =>
      call((native) => native.open({ small, identities: [device.handle], hardware: false, trust: t }));
    expect((await opens(trust([], [pub]))).info.slots[0]?.policy).toEqual(policy);
    expect(await codeOf(() => opens(trust()))).toBe('LEASE_UNTRUSTED');
    expect(await codeOf(() => opens(trust([], [pub], 99)))).toBe('LEASE_NOT_YET_VALID');
    expect(await codeOf(() => opens(trust([], [pub], 200)))).toBe('LEASE_EXPIRED');
  });

  it('has times in order, ids of 32 hex digits, and a signing key', async () => {
    const wrong = [
      { notBefore: 200 },
      { notBefore: 201 },
      { offlineUntil: 201 },
      { notAfter: -1 },
      { notAfter: 2 ** 53 },
      { leaseId: '01'.repeat(15) },
      { leaseId: `${'01'.repeat(15)}0G` },
      { deviceId: 'FE'.repeat(16) },
    ];
    for (const more of wrong) expect(await codeOf(() => lease(more)), JSON.stringify(more)).toBe('INVALID_ARGUMENT');
    await lease({ offlineUntil: 200 });
    expect(await codeOf(() => lease({}, device))).toBe('KEY_TYPE_WRONG');
  });
});
