/** The reference itself: it agrees with third-party vectors, and with itself. Only then may it judge the SDK. */
import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { print } from '../support/print.js';
import { seeded } from '../support/seed.js';
import { needShared } from '../support/shared.js';
import { readVectors, refused, Tally } from '../support/wycheproof.js';
import { same, unhex, utf8 } from './bytes.js';
import { openContainer, sealContainer, splitContainer } from './container.js';
import { parseHeader } from './header.js';
import { parseJson } from './json.js';
import { checkPath, checkPaths } from './manifest.js';
import { deriveKeys, openPayload, sealPayload, treeHash } from './payload.js';
import { digest, publicOf, random } from './primitives.js';
import { canonicalFold, nfc } from './unicode.js';

describe('the reference implementation', () => {
  it('opens the C2SP vectors', (context) => {
    const folder = needShared(context, 'vectors', 'wycheproof');
    const { total, groups } = readVectors(folder, 'c2sp_chunked_encryption_aes_256_gcm_test.json');
    const tally = new Tally('reference, c2sp chunked encryption', total);
    for (const test of groups.flatMap((group) => group.tests)) {
      const [key, info] = [test.bytes('key'), test.bytes('ctx')];
      const message = Uint8Array.from(inflateSync(test.bytes('ct')));
      const open = (): Uint8Array => {
        if (key.length !== 32) throw new Error('a data key has 32 bytes');
        return openPayload(key, info, message);
      };
      if (test.result === 'valid') {
        const keys = deriveKeys(key, message.slice(0, 24), info);
        const plain = open();
        const right = same(digest('sha512', plain), test.bytes('msgSha512')) && same(keys.key, test.bytes('aeadKey'));
        tally.check(test, 'opened', right && same(sealPayload(key, info, plain, message.slice(0, 24)), message));
      } else tally.check(test, 'refused', refused(open));
    }
    print(String(tally));
    expect(tally.failed).toEqual([]);
    expect(tally.passed).toBe(total);
  });

  it('opens what it sealed, with each kind of key', () => {
    const rng = seeded('reference round trips');
    const device = random(32);
    const master = random(32);
    const passphrase = utf8('correct horse');
    const seed = random(32);
    const identities = [{ x25519: device }, { master }, { passphrase }];
    for (const size of [0, 1, 16_383, 16_384, 16_385, 70_000]) {
      const files = new Map([
        ['weights/b.bin', rng.bytes(size)],
        ['a.json', rng.bytes(rng.integer(40_000))],
      ]);
      const container = sealContainer(files, {
        name: 'net',
        version: '1',
        signer: seed,
        recipients: [{ x25519: publicOf('x25519', device) }, { master }, { passphrase, logN: 15 }],
      });
      for (const identity of identities) {
        const opened = openContainer(container, [identity], { publishers: [publicOf('ed25519', seed)] });
        expect([...opened.files].sort()).toEqual([...files].sort());
      }
      const { small, big } = splitContainer(container);
      expect(small.length).toBeGreaterThanOrEqual(parseHeader(small).length + 56);
      expect(small.length + big.length).toBe(container.length);
      expect(refused(() => openContainer(container, [{ master: random(32) }]))).toBe(true);
    }
  });

  it('hashes trees as RFC 9162 does', () => {
    const empty = new Uint8Array(0);
    const [a, b, c] = [utf8('a'), utf8('b'), utf8('c')].map((leaf) => digest('sha256', Uint8Array.of(0), leaf));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three leaves');
    const node = (left: Uint8Array, right: Uint8Array): Uint8Array => digest('sha256', Uint8Array.of(1), left, right);
    expect(treeHash([digest('sha256', Uint8Array.of(0), empty)])).toEqual(
      unhex('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'),
    );
    expect(treeHash([a, b, c])).toEqual(node(node(a, b), c));
    expect(treeHash([a, b, c, a, b])).toEqual(node(node(node(a, b), node(c, a)), b));
  });

  it('refuses JSON that is not canonical', () => {
    const bad = ['{"b":1,"a":1}', '{"a":1,"a":1}', '{"a": 1}', '{"a":1.0}', '{"a":-0}', '{"a":9007199254740992}'];
    const worse = ['{"a":null}', '{"a":true}', '{"a":"\\u0061"}', '\ufeff{}', '[[[[[[[[[1]]]]]]]]]', '{"a":"\\ud800"}', ''];
    for (const text of [...bad, ...worse])
      expect(
        refused(() => parseJson(utf8(text))),
        text,
      ).toBe(true);
    expect(parseJson(utf8('{"a":[1,"é\\n"],"b":{}}'))).toEqual({ a: [1, 'é\n'], b: {} });
  });

  it('refuses paths that some system would take for another', () => {
    const bad = ['', '/a', 'a/', 'a//b', '.', 'a/../b', 'a\\b', 'c:', 'a\u0000', 'a\u0085', 'con', 'a/NUL.txt', 'com¹', 'aux .x'];
    const worse = ['a.', 'a ', 'e\u0301', 'x'.repeat(256), `${'x/'.repeat(512)}y`, 'LPT9.tar.gz', 'conout$'];
    for (const path of [...bad, ...worse])
      expect(
        refused(() => checkPath(path)),
        path,
      ).toBe(true);
    for (const path of ['a', '.a', 'a b', 'console', 'é', 'com10', 'x'.repeat(255), 'nul_']) checkPath(path);
    for (const pair of [
      ['a', 'A'],
      ['Straße', 'STRASSE'],
      ['a', 'a/b'],
      ['A/b', 'a'],
      ['ſ', 's'],
      ['\u1e9e', 'ss'],
    ]) {
      expect(
        refused(() => checkPaths(pair)),
        pair.join(' and '),
      ).toBe(true);
    }
    checkPaths(['a', 'ab', 'b/a', 'i', 'ı']);
  });

  it('keeps to Unicode 14.0', () => {
    expect(canonicalFold('\u{1e900}')).toBe('\u{1e922}'); // Adlam, since 9.0
    expect(canonicalFold('\ua7cb')).toBe('\ua7cb'); // since 16.0
    expect(nfc('\u{1611e}\u{1611e}')).toBe('\u{1611e}\u{1611e}'); // composes since 16.0
  });
});
