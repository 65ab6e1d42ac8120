/** Every bad input of the documentation ends in one documented code, from memory and from a file, and says what to do. */
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/errors.js';
import { decrypt, decryptFile, inspect, mergeFiles, rewrap } from '../../src/index.js';
import { concat, utf8 } from '../reference/bytes.js';
import { openHeader, sealContainer, sealMessage } from '../reference/container.js';
import { addSlot, alter, parts, reclaim } from '../reference/forge.js';
import type { Slot } from '../reference/header.js';
import { rawMessage, writeManifest } from '../reference/manifest.js';
import { failureOf } from '../support/failures.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('bad-input');
const random = seeded('bad input');
const plain = random.bytes(40_000);
let keys: Keyring;
let good: Uint8Array;
let dataKey: Uint8Array;
let count = 0;

beforeAll(async () => {
  keys = await makeKeyring(base, random);
  good = sealContainer(new Map([['model', plain]]), {
    name: 'net',
    version: '1',
    recipients: [keys.recipients.master],
    signer: keys.raw.signing,
  });
  dataKey = openHeader(good, [keys.identities.master]).dataKey;
});

const change = (at: number, bytes: Uint8Array): Uint8Array => {
  const out = Uint8Array.from(good);
  out.set(bytes, at);
  return out;
};
const u32 = (value: number): Uint8Array =>
  Uint8Array.from([value >>> 24, value >>> 16, value >>> 8, value].map((byte) => byte & 255));
const slot = (type: number, flags: number): Slot => ({ type, flags, keyId: new Uint8Array(8), body: new Uint8Array(10) });
const withSlots = (...slots: Slot[]): Uint8Array => reclaim(good, dataKey, { slots: [...parts(good).header.slots, ...slots] });
const withManifest = (...files: { path: string; offset: number; size: number }[]): Uint8Array =>
  sealMessage(rawMessage(writeManifest(files), new Uint8Array(100)), {
    name: 'net',
    version: '1',
    recipients: [keys.recipients.master],
  });
const policy = { notBefore: 1, notAfter: 2, offlineUntil: 2, leaseId: new Uint8Array(16), deviceId: new Uint8Array(16) };

const refused: readonly [string, () => Uint8Array, string][] = [
  ['nothing', () => new Uint8Array(), 'NOT_A_CONTAINER'],
  ['garbage', () => random.bytes(5000), 'NOT_A_CONTAINER'],
  ['text', () => utf8('hello '.repeat(100)), 'NOT_A_CONTAINER'],
  ['the magic alone', () => good.slice(0, 8), 'CONTAINER_TRUNCATED'],
  ['half a header', () => good.slice(0, 100), 'CONTAINER_TRUNCATED'],
  ['a header alone', () => good.slice(0, parts(good).header.length), 'CONTAINER_TRUNCATED'],
  ['a small part', () => good.slice(0, 3072), 'CONTAINER_TRUNCATED'],
  ['a container without its last byte', () => good.slice(0, -1), 'CONTAINER_TRUNCATED'],
  ['a container with a byte more', () => concat(good, new Uint8Array(1)), 'CONTAINER_MALFORMED'],
  ['an unknown version', () => change(8, Uint8Array.of(0, 2)), 'VERSION_UNSUPPORTED'],
  ['an unknown slot that is critical', () => withSlots(slot(99, 1)), 'CRITICAL_UNSUPPORTED'],
  ['a header over its bound', () => change(10, u32(65_537)), 'LIMIT_EXCEEDED'],
  ['4 GiB claimed in a header', () => change(10, u32(0xffffffff)), 'LIMIT_EXCEEDED'],
  ['10 GB claimed in a header', () => claimed(10_000_000_000), 'CONTAINER_MALFORMED'],
  ['33 slots', () => withSlots(...Array.from({ length: 32 }, () => slot(99, 0))), 'LIMIT_EXCEEDED'],
  [
    'a second passphrase',
    () => addSlot(addSlot(good, dataKey, keys.recipients.passphrase), dataKey, keys.recipients.passphrase),
    'CONTAINER_MALFORMED',
  ],
  ['a manifest with ..', () => withManifest({ path: '../x', offset: 0, size: 100 }), 'MANIFEST_INVALID'],
  ['a manifest with an absolute path', () => withManifest({ path: '/x', offset: 0, size: 100 }), 'MANIFEST_INVALID'],
  [
    'a manifest with duplicate names',
    () => withManifest({ path: 'x', offset: 0, size: 0 }, { path: 'x', offset: 0, size: 100 }),
    'MANIFEST_INVALID',
  ],
  [
    'a manifest with names equal but for case',
    () => withManifest({ path: 'X', offset: 0, size: 0 }, { path: 'x', offset: 0, size: 100 }),
    'MANIFEST_INVALID',
  ],
  [
    'a manifest that claims more than there is',
    () => withManifest({ path: 'x', offset: 0, size: 10_000_000_000 }),
    'MANIFEST_INVALID',
  ],
  ['a header that was changed', () => alter(good, { slots: [...parts(good).header.slots, slot(99, 0)] }), 'INTEGRITY_FAILED'],
  ['a changed digest', () => reclaim(good, dataKey, { digest: random.bytes(32) }), 'SIGNATURE_INVALID'],
  ['a changed chunk', () => change(good.length - 5000, random.bytes(100)), 'INTEGRITY_FAILED'],
  [
    'a slot with a policy that nobody signed',
    () => reclaim(good, dataKey, { slots: parts(good).header.slots.map((one) => ({ ...one, policy })) }),
    'LEASE_UNTRUSTED',
  ],
];

/** A header whose payload length is far beyond the plaintext size that its core states. */
function claimed(bytes: number): Uint8Array {
  return reclaim(good, dataKey, { payloadLength: bytes });
}

describe('bad containers', () => {
  it.each(refused)('%s', async (_, make, code) => {
    const bytes = make();
    const file = path.join(base, `bad-${count++}`);
    writeFileSync(file, bytes);
    const opening = {
      identities: [keys.master],
      ...(code.startsWith('SIGNATURE') ? { verifier: keys.signing.publicKey } : { unsigned: 'accept' as const }),
    };
    for (const error of [await failureOf(() => decrypt(bytes, opening)), await failureOf(() => decryptFile(file, opening))]) {
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(/\. .+[.]$/)]);
      expect(Object.keys(ERROR_CODES)).toContain(error.code);
    }
  });

  it('a skipped unknown slot is no fault', async () => {
    (await decrypt(withSlots(slot(99, 0)), { identities: [keys.master], unsigned: 'accept' })).dispose();
  });

  it('a file far beyond its own header is refused without being read', async () => {
    const file = path.join(base, 'sparse');
    writeFileSync(file, good);
    truncateSync(file, 2 ** 40);
    expect((await failureOf(() => inspect(file))).code).toBe('CONTAINER_MALFORMED');
  });

  it('an oversized small part is refused before it is read', async () => {
    const file = path.join(base, 'sparse-small');
    writeFileSync(file, good.slice(0, 3072));
    truncateSync(file, 2 ** 40);
    expect((await failureOf(() => mergeFiles({ small: file, big: file }, path.join(base, 'out')))).code).toBe('LIMIT_EXCEEDED');
  });

  it('files that are none are refused by name', async () => {
    for (const [file, code] of [
      [base, 'SOURCE_UNSUPPORTED'],
      ['/dev/null', 'SOURCE_UNSUPPORTED'],
      [path.join(base, 'none'), 'NOT_FOUND'],
    ] as const)
      expect(await failureOf(() => inspect(file))).toMatchObject({ code, message: expect.stringContaining(file) });
  });

  it('a small part with a policy cannot be passed on', async () => {
    const leased = reclaim(good, dataKey, { slots: parts(good).header.slots.map((one) => ({ ...one, policy })) });
    const error = await failureOf(() => rewrap(leased.slice(0, 3072), { identities: [keys.master], recipients: [keys.device] }));
    expect(['LEASE_UNTRUSTED', 'POLICY_PRESENT']).toContain(error.code);
  });
});
