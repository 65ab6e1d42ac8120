/** Slots with a policy, lease signatures and re-wrapping: what docs/format.md says of them, against the reference. */
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, inspect, merge, rewrap, split } from '../../src/index.js';
import { concat, same } from '../reference/bytes.js';
import { openContainer, publicKeyText, sealContainer, signature, splitContainer } from '../reference/container.js';
import { coreHash } from '../reference/core.js';
import { reclaim } from '../reference/forge.js';
import { type Claims, type Policy, parseHeader, ROLE, signedBytes } from '../reference/header.js';
import { publicOf, verify } from '../reference/primitives.js';
import { wrap } from '../reference/slots.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { seeded } from '../support/seed.js';
import { refusal } from '../support/table-store.js';
import { temporaryFolder } from '../support/temp.js';

const HOUR = 3600;
const folder = temporaryFolder('leases');
const random = seeded('leases');
const dataKey = random.bytes(32);
const server = random.bytes(32);
const plain = random.bytes(50_000);
let keys: Keyring;
let container: Uint8Array;
beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  const recipients = [keys.recipients.master];
  container = sealContainer(new Map([['net', plain]]), {
    name: 'net',
    version: '1',
    recipients,
    dataKey,
    signer: keys.raw.signing,
  });
});

const policy = (from: number, to: number): Policy => {
  const now = Math.floor(Date.now() / 1000);
  return {
    notBefore: now + from,
    notAfter: now + to,
    offlineUntil: now + to,
    leaseId: random.bytes(16),
    deviceId: random.bytes(16),
  };
};

/** The container as a lease for the device key: one slot with a policy, signed by whoever has that seed. */
function lease(terms: Policy, seed: Uint8Array | undefined): Uint8Array {
  const header = parseHeader(container);
  const slots = [wrap(keys.recipients.device, dataKey, coreHash(header.core), { policy: terms })];
  const claims: Claims = { ...header, slots };
  const publisher = header.signatures;
  const signatures = seed === undefined ? publisher : [...publisher, signature(ROLE.lease, seed, claims)];
  return reclaim(container, dataKey, { slots, signatures });
}

const leaseKeys = (): string => publicKeyText('mgs1', publicOf('ed25519', server));
const opening = () => ({ identities: [keys.device], verifier: keys.signing.publicKey });

describe('a slot with a policy', () => {
  it('opens in its time, with a lease signature by a pinned key', async () => {
    const made = lease(policy(-HOUR, HOUR), server);
    openContainer(made, [keys.identities.device], { publishers: [keys.publisher], leaseKeys: [publicOf('ed25519', server)] });
    using model = await decrypt(made, { ...opening(), leaseKeys: leaseKeys() });
    expect(same(model.bytes, plain)).toBe(true);
    const info = await inspect(made);
    expect(info.signatures.map(({ role }) => role)).toEqual(['publisher', 'lease']);
    expect(info.slots[0]?.policy?.leaseId).toMatch(/^[0-9a-f]{32}$/);
  });

  it.for([
    ['without a pinned lease key', -HOUR, HOUR, true, false, 'LEASE_UNTRUSTED'],
    ['without a lease signature', -HOUR, HOUR, false, true, 'LEASE_UNTRUSTED'],
    ['before its time', HOUR, 2 * HOUR, true, true, 'LEASE_NOT_YET_VALID'],
    ['after its time', -2 * HOUR, -HOUR, true, true, 'LEASE_EXPIRED'],
  ] as const)('%s does not open', async ([what, from, to, signed, pinned, expected]) => {
    const made = lease(policy(from, to), signed ? server : undefined);
    const trusted = pinned ? { leaseKeys: leaseKeys() } : {};
    expect(await refusal(() => decrypt(made, { ...opening(), ...trusted })), what).toBe(expected);
  });

  it("does not open with a stranger's signature, nor with one that signed other slots", async () => {
    const stranger = lease(policy(-HOUR, HOUR), random.bytes(32));
    expect(await refusal(() => decrypt(stranger, { ...opening(), leaseKeys: leaseKeys() }))).toBe('LEASE_UNTRUSTED');
    const [ending, longer] = [lease(policy(-HOUR, HOUR), server), lease(policy(-HOUR, 99 * HOUR), server)];
    // The longer slot under the signature of the shorter one: whoever has the data key can fit the mac.
    const mixed = reclaim(longer, dataKey, { signatures: parseHeader(ending).signatures });
    expect(await refusal(() => decrypt(mixed, { ...opening(), leaseKeys: leaseKeys() }))).toBe('LEASE_UNTRUSTED');
  });

  it('cannot be passed on', async () => {
    const { small } = splitContainer(lease(policy(-HOUR, HOUR), server));
    const code = await refusal(() => rewrap(small, { identities: [keys.device], recipients: [keys.master] }));
    expect(['POLICY_PRESENT', 'LEASE_UNTRUSTED'], `re-wrapping a lease ended in ${code}`).toContain(code);
  });
});

describe('re-wrapping', () => {
  it('by the SDK keeps core, digest, signature and big part, and the reference opens the result', async () => {
    const { small, big } = await split(container);
    const made = await rewrap(small, { identities: [keys.master], recipients: [keys.device] });
    const [before, after] = [parseHeader(small), parseHeader(made)];
    expect(same(before.core, after.core) && same(before.digest, after.digest), 'core or digest changed').toBe(true);
    expect(after.signatures, 'the signatures changed').toEqual(before.signatures);
    expect(same(small.slice(before.length), made.slice(after.length)), 'the payload bytes in the small part changed').toBe(true);
    const joined = concat(made, big);
    expect(same(await merge(made, big), joined)).toBe(true);
    const { files } = openContainer(joined, [keys.identities.device], { publishers: [keys.publisher] });
    expect(same(files.get('net') ?? new Uint8Array(0), plain)).toBe(true);
    expect(
      await refusal(() => decrypt(joined, { identities: [keys.master], unsigned: 'accept' })),
      'the old recipient still opens it',
    ).toBe('NO_MATCHING_IDENTITY');
  });

  it('by the reference opens in the SDK', async () => {
    const header = parseHeader(container);
    const slots = [wrap(keys.recipients.device, dataKey, coreHash(header.core))];
    using model = await decrypt(reclaim(container, dataKey, { slots }), opening());
    expect(same(model.bytes, plain)).toBe(true);
  });

  it('drops the lease signature, which signed the old slots', async () => {
    const header = parseHeader(container);
    const claims: Claims = { ...header };
    const leased = reclaim(container, dataKey, { signatures: [...header.signatures, signature(ROLE.lease, server, claims)] });
    const { small } = await split(leased);
    const made = parseHeader(await rewrap(small, { identities: [keys.master], recipients: [keys.device] }));
    expect(made.signatures.map(({ role }) => role)).toEqual([ROLE.publisher]);
    const [publisher] = made.signatures;
    if (publisher === undefined) throw new Error('the publisher signed');
    expect(verify(keys.publisher, signedBytes(ROLE.publisher, made), publisher.bytes)).toBe(true);
  });
});
