/**
 * Public keys of small order have no secret: with such an Ed25519 key everybody signs everything, and what is sealed to such an X25519 key
 * is sealed to no recipient. The points come from arithmetic on the curve (test/reference/points.ts), not from a list.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DeviceKey, DevicePublicKey, encrypt, MasterKey, SigningKey, VerifyingKey, verify } from '../../src/index.js';
import { call } from '../../src/native/index.js';
import { enrolmentProofHolds, leaseProofHolds, nonceFor } from '../../src/server-kit/index.js';
import { concat } from '../reference/bytes.js';
import { encodings, littleEndian, montgomery, P, refusedEd25519, refusedX25519, smallPoints } from '../reference/points.js';
import { codeOf } from '../support/failures.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('public-keys');
const random = seeded('public keys');
const text = (prefix: string, ...keys: Uint8Array[]): string => prefix + Buffer.from(concat(...keys)).toString('base64url');

/** y or u of p and above: 2^255 - 19 + n. */
const tooLarge = [...Array(19).keys()].map((n) => littleEndian(P + BigInt(n)));
const small = smallPoints();
const edwards = [...small.flatMap(encodings), ...tooLarge];
const withTopBit = littleEndian(9n | (2n ** 255n));
const x25519 = [
  littleEndian(0n),
  ...small.flatMap((point) => montgomery(point) ?? []),
  littleEndian(1n),
  littleEndian(P - 1n),
  ...tooLarge,
  withTopBit,
];

let device: DeviceKey;
let keys: { x25519: Uint8Array; ed25519: Uint8Array };
beforeAll(() => {
  device = DeviceKey.generate();
  const bytes = Buffer.from(device.publicKey.toString().slice(5), 'base64url');
  keys = { x25519: bytes.subarray(0, 32), ed25519: bytes.subarray(32) };
});

describe('an Ed25519 key', () => {
  it('of small order has 14 texts, and none is read', async () => {
    expect(small.flatMap(encodings).length).toBe(14);
    for (const key of edwards) {
      expect(refusedEd25519(key), 'the reference agrees').toBe(true);
      expect(await codeOf(() => new VerifyingKey(text('mgs1:', key)))).toBe('KEY_INVALID');
      expect(await codeOf(() => new VerifyingKey(key))).toBe('KEY_INVALID');
      expect(await codeOf(() => new DevicePublicKey(text('mgd1:', keys.x25519, key)))).toBe('KEY_INVALID');
    }
  });

  it('of small order is refused by the addon itself, as what is trusted and as what verifies', async () => {
    const container = await encrypt(new Uint8Array(20), {
      name: 'defects',
      version: '1',
      recipients: [MasterKey.generate()],
      signer: SigningKey.generate(),
    });
    const trust = { publishers: [] as Uint8Array[], leaseKeys: [] as Uint8Array[] };
    for (const key of edwards) {
      const verifies = (): unknown =>
        call((native) => native.verifySignature('lease-request', key, new Uint8Array(8), concat(key, new Uint8Array(32))));
      expect(await codeOf(verifies)).toBe('KEY_INVALID');
      expect(await codeOf(() => call((native) => native.checkOrigin(container, { ...trust, publishers: [key] })))).toBe(
        'KEY_INVALID',
      );
      expect(await codeOf(() => call((native) => native.checkOrigin(container, { ...trust, leaseKeys: [key] })))).toBe(
        'KEY_INVALID',
      );
    }
    expect(await codeOf(() => verify(container, { verifier: text('mgs1:', littleEndian(1n)) }))).toBe('KEY_INVALID');
  });

  it('that a signer has is read', () => {
    for (let round = 0; round < 50; round += 1) {
      const { publicKey } = SigningKey.generate();
      const bytes = Buffer.from(publicKey.toString().slice(5), 'base64url');
      expect(refusedEd25519(bytes)).toBe(false);
      expect(new VerifyingKey(publicKey.toString()).toString()).toBe(publicKey.toString());
    }
  });
});

describe('an X25519 key', () => {
  it('of small order or not canonical is read nowhere', async () => {
    const options = { name: 'defects', version: '1' };
    for (const key of x25519) {
      expect(refusedX25519(key), 'the reference agrees').toBe(true);
      expect(await codeOf(() => new DevicePublicKey(text('mgd1:', key, keys.ed25519)))).toBe('KEY_INVALID');
      expect(await codeOf(() => encrypt(new Uint8Array(1), { ...options, recipients: [text('mgx1:', key)] }))).toBe(
        'KEY_INVALID',
      );
      const nonce = (): unknown => call((native) => native.sealNonce(key, random.bytes(16), random.bytes(32)));
      expect(await codeOf(nonce)).toBe('KEY_INVALID');
      const fragment = (): unknown => {
        const master = call((native) => native.generateKey('master'));
        return call((native) => native.sealFragment(master, key, random.bytes(16), 'a'));
      };
      expect(await codeOf(fragment)).toBe('KEY_INVALID');
    }
  });

  it('that a device has is read', () => {
    for (let round = 0; round < 50; round += 1) {
      const key = DeviceKey.generate().publicKey;
      expect(refusedX25519(Buffer.from(key.toString().slice(5), 'base64url').subarray(0, 32))).toBe(false);
      expect(new DevicePublicKey(key.toString()).toString()).toBe(key.toString());
    }
  });
});

/** An enrolment is proved by both keys. One that anybody can sign with proves only that the nonce was opened, or nothing at all. */
it('refuses another device’s X25519 key joined to an Ed25519 key without a secret', async () => {
  const challenge = text('', random.bytes(32));
  const [serverId, deviceId] = ['ab'.repeat(16), 'cd'.repeat(16)];
  for (const key of small.flatMap(encodings)) {
    const joined = text('mgd1:', keys.x25519, key);
    expect(await codeOf(() => nonceFor(joined, serverId, challenge))).toBe('KEY_INVALID');
    // R = the neutral element and S = 0: what such a key «signs» everything with.
    const signature = text('', littleEndian(1n), new Uint8Array(32));
    const proof = { serverId, challenge, deviceId, device: joined, body: new Uint8Array(4), signature };
    expect(await codeOf(() => enrolmentProofHolds({ ...proof, nonce: random.bytes(32) }))).toBe('KEY_INVALID');
    expect(await codeOf(() => leaseProofHolds(proof))).toBe('KEY_INVALID');
  }
});

it('reads no such key from a file', async () => {
  const file = path.join(folder, 'publisher.pub');
  writeFileSync(file, `${text('mgs1:', littleEndian(1n))}\n`);
  const { readPublicText } = await import('../../src/keys/any.js');
  expect(await codeOf(async () => new VerifyingKey((await readPublicText(file)) as string))).toBe('KEY_INVALID');
});
