/** Third-party vectors through the addon's own primitives. A refusal must be a refusal, never a wrong result. */
import { createHash, createHmac, createPrivateKey, sign } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { print } from '../support/print.js';
import { seeded } from '../support/seed.js';
import { needShared } from '../support/shared.js';
import { loadPrimitives, type Primitives } from '../support/test-addon.js';
import { readVectors, refused, Tally, type VectorGroup, type VectorTest } from '../support/wycheproof.js';

const FOLDER = ['vectors', 'wycheproof'] as const;
let addon: Primitives;
beforeAll(() => {
  addon = loadPrimitives();
});

function run(
  folder: string,
  file: string,
  label: string,
  check: (test: VectorTest, group: VectorGroup, tally: Tally) => void,
): void {
  const { total, groups } = readVectors(folder, file);
  const tally = new Tally(label, total);
  for (const group of groups) for (const test of group.tests) check(test, group, tally);
  print(String(tally));
  expect(tally.failed, `${label}: the addon disagrees with third-party vectors`).toEqual([]);
  expect(tally.passed, `${label}: some vectors were not run`).toBe(total);
}

const equal = (a: Uint8Array | null, b: Uint8Array): boolean => a !== null && Buffer.compare(a, b) === 0;
const sha512 = (bytes: Uint8Array): Uint8Array => createHash('sha512').update(bytes).digest();

describe('third-party vectors through the addon', () => {
  it('AES-GCM seals and opens as every vector says', (context) => {
    const folder = needShared(context, ...FOLDER);
    run(folder, 'aes_gcm_test.json', 'wycheproof aes_gcm', (test, group, tally) => {
      const [key, iv, aad, message] = [test.bytes('key'), test.bytes('iv'), test.bytes('aad'), test.bytes('msg')];
      const sealed = Buffer.concat([test.bytes('ct'), test.bytes('tag')]);
      const open = (): Uint8Array | null => addon.gcmOpen(key, iv, aad, sealed);
      const seal = (): Uint8Array => addon.gcmSeal(key, iv, aad, message);
      if (group.size('keySize') === 192) {
        tally.check(test, 'with a 192-bit key refused as unsupported', refused(open) && refused(seal));
      } else if (iv.length === 0) {
        tally.check(test, 'with an empty nonce refused', refused(open) && refused(seal));
      } else if (iv.length > 64 && refused(open)) {
        tally.check(test, 'with a nonce over 64 bytes refused as unsupported', refused(seal));
      } else if (test.result === 'valid') {
        tally.check(test, 'sealed and opened', equal(open(), message) && equal(seal(), sealed));
      } else {
        tally.check(test, 'forged ones refused', refused(open));
      }
    });
  });

  it('AES-256-CBC with PKCS padding, as a legacy artifact, seals and opens as every vector says', (context) => {
    const folder = needShared(context, ...FOLDER);
    run(folder, 'aes_cbc_pkcs5_test.json', 'wycheproof aes_cbc_pkcs5', (test, group, tally) => {
      const [key, iv, message] = [test.bytes('key'), test.bytes('iv'), test.bytes('msg')];
      const artifact = Buffer.concat([iv, test.bytes('ct')]);
      const open = (): Uint8Array | null => addon.legacyOpen(key, artifact);
      const seal = (): Uint8Array | null => addon.legacySeal(key, iv, message);
      if (group.size('keySize') !== 256) {
        tally.check(test, 'with a 128- or 192-bit key refused as unsupported', refused(open) && refused(seal));
      } else if (test.result === 'valid') {
        tally.check(test, 'sealed and opened', equal(open(), message) && equal(seal(), artifact));
      } else {
        tally.check(test, 'with wrong padding refused', refused(open));
      }
    });
  });

  it.for(['sha256', 'sha384', 'sha512'] as const)('HKDF with %s derives what every vector says', (hash, context) => {
    const folder = needShared(context, ...FOLDER);
    run(folder, `hkdf_${hash}_test.json`, `wycheproof hkdf_${hash}`, (test, _group, tally) => {
      const length = Number(test.field('size'));
      const derive = (): Uint8Array => addon.hkdf(hash, test.bytes('ikm'), test.bytes('salt'), test.bytes('info'), length);
      if (test.result === 'valid') tally.check(test, 'derived', equal(derive(), test.bytes('okm')));
      else tally.check(test, 'over 255 blocks refused', refused(derive));
    });
  });

  it.for(['sha256', 'sha384'] as const)('HMAC with %s makes the tag of every vector', (hash, context) => {
    const folder = needShared(context, ...FOLDER);
    run(folder, `hmac_${hash}_test.json`, `wycheproof hmac_${hash}`, (test, group, tally) => {
      const made = addon.hmac(hash, test.bytes('key'), test.bytes('msg')).slice(0, group.size('tagSize') / 8);
      const shown = test.result === 'valid' ? 'made' : 'of another tag told apart';
      tally.check(test, shown, equal(made, test.bytes('tag')) === (test.result === 'valid'));
    });
  });

  it('X25519 agrees, and refuses an all-zero shared secret', (context) => {
    const folder = needShared(context, ...FOLDER);
    run(folder, 'x25519_test.json', 'wycheproof x25519', (test, _group, tally) => {
      const shared = test.bytes('shared');
      const compute = (): Uint8Array | null => addon.x25519(test.bytes('private'), test.bytes('public'));
      if (shared.every((byte) => byte === 0)) tally.check(test, 'all-zero shared secrets refused', refused(compute));
      else tally.check(test, 'computed', equal(compute(), shared));
    });
  });

  it('Ed25519 accepts and refuses as every vector says', (context) => {
    const folder = needShared(context, ...FOLDER);
    run(folder, 'ed25519_test.json', 'wycheproof ed25519', (test, group, tally) => {
      const verdict = (): boolean => addon.ed25519Verify(group.publicKey(), test.bytes('msg'), test.bytes('sig'));
      if (test.result === 'valid') tally.check(test, 'accepted', verdict());
      else
        tally.check(
          test,
          'refused',
          refused(() => verdict() || null),
        );
    });
  });

  it('C2SP chunked encryption opens as every vector says', (context) => {
    const folder = needShared(context, ...FOLDER);
    const file = 'c2sp_chunked_encryption_aes_256_gcm_test.json';
    run(folder, file, 'c2sp chunked encryption', (test, _group, tally) => {
      const [key, info] = [test.bytes('key'), test.bytes('ctx')];
      const message = Uint8Array.from(inflateSync(test.bytes('ct')));
      const open = (): Uint8Array | null => addon.chunkedOpen(key, info, message);
      if (test.result !== 'valid') {
        tally.check(test, 'refused', refused(open));
        return;
      }
      const [plain, keys] = [open(), addon.chunkedKeys(key, info, message)];
      const derived = keys !== null && equal(keys.key, test.bytes('aeadKey')) && equal(keys.baseNonce, test.bytes('baseNonce'));
      const opened = plain !== null && String(plain.length) === test.field('msgLength');
      const shown = 'opened, keys and nonce as given';
      tally.check(test, shown, derived && opened && equal(sha512(plain), test.bytes('msgSha512')));
    });
  });
});

describe('primitives without a vector file of their own', () => {
  it('Ed25519 signatures are those of an independent implementation', () => {
    const random = seeded('ed25519 signatures');
    for (let round = 0; round < 50; round += 1) {
      const [seed, message] = [random.bytes(32), random.bytes(random.integer(300))];
      const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
      const independent = sign(null, message, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
      expect(equal(addon.ed25519Sign(seed, message), independent), 'the addon signs something else').toBe(true);
    }
  });

  it('HMAC with sha512 makes the tags of an independent implementation', () => {
    const random = seeded('hmac sha512');
    for (let round = 0; round < 50; round += 1) {
      const [key, message] = [random.bytes(1 + random.integer(200)), random.bytes(random.integer(300))];
      const independent = createHmac('sha512', key).update(message).digest();
      expect(equal(addon.hmac('sha512', key, message), independent), 'the addon makes another tag').toBe(true);
    }
  });
});
