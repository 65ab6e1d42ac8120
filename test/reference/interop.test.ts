/** Two implementations of docs/format.md, one written from that page alone, open what the other made. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, fileStore, type GuardedModel, load, merge, protect, split } from '../../src/index.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';
import { concat, hex, same } from './bytes.js';
import { openContainer, publicKeyText, sealContainer, splitContainer } from './container.js';
import { encodeHeader, parseHeader } from './header.js';
import { checkPaths, type Files } from './manifest.js';
import { payloadDigest, treeFile } from './payload.js';

const folder = temporaryFolder('interop');
const random = seeded('interoperation with the reference');
let keys: Keyring;
beforeAll(async () => {
  keys = await makeKeyring(folder, random);
});

const SIZES = [0, 1, 15, 16_383, 16_384, 16_385, 32_768, 49_152, 1_048_575, 1_048_576, 1_100_000];
const size = fc.oneof(fc.constantFrom(...SIZES), fc.integer({ min: 0, max: 200_000 }));
const segment = fc.oneof(
  fc.stringMatching(/^[a-z0-9_-]{1,12}(\.[a-z]{1,4})?$/),
  fc.constantFrom('模型', 'modèle', 'Ωμέγα', 'x'.repeat(255), '.hidden', '\u{1f9e0}', '\ufb01le'),
);
const filePath = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const model = fc
  .uniqueArray(fc.tuple(filePath, size), { minLength: 1, maxLength: 6, selector: ([name]) => name })
  .filter((files) => pathsAgree(files.map(([name]) => name)))
  .map((files): Files => new Map(files.map(([name, length]) => [name, random.bytes(length)])));
const name = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,30}$/).filter((text) => !text.startsWith('.'));
const options = { seed: random.seed, numRuns: scaled(25, 10) };
const MINUTES = 300_000; // scrypt, over and over, on two busy cores

function pathsAgree(paths: readonly string[]): boolean {
  try {
    checkPaths(paths);
    return true;
  } catch {
    return false;
  }
}

function plainFiles(loaded: GuardedModel): Files {
  return new Map([...loaded.files].map(([file, { bytes }]) => [file, Uint8Array.from(bytes)]));
}

function expectSameFiles(actual: Files, expected: Files, who: string): void {
  expect([...actual.keys()].sort(), `${who} gives back other files`).toEqual([...expected.keys()].sort());
  for (const [file, bytes] of expected) {
    expect(same(actual.get(file) ?? new Uint8Array(0), bytes), `${who} changes the bytes of ${file}`).toBe(true);
  }
}

function writeModel(files: Files, below: string): string {
  const root = path.join(folder, below);
  mkdirSync(root);
  for (const [file, bytes] of files) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), bytes);
  }
  return root;
}

describe('the SDK and the reference', () => {
  it(
    'the reference opens whatever the SDK protects',
    async () => {
      let rounds = 0;
      const everyone = fc.subarray(['master', 'device', 'passphrase'] as const, { minLength: 1 });
      const rule = fc.record({ maxBytes: fc.constantFrom(0, 1000, 3072, 70_000), ratio: fc.constantFrom(0, 0.2, 0.3, 0.9) });
      await fc.assert(
        fc.asyncProperty(model, name, name, everyone, fc.boolean(), rule, async (files, title, version, who, signed, cut) => {
          rounds += 1;
          const source = writeModel(files, `source-${rounds}`);
          const store = path.join(folder, `store-${rounds}`);
          const recipients = who.map((one) => keys[one]);
          const signer = signed ? { signer: keys.signing } : {};
          const made = await protect(source, { name: title, version, recipients, to: fileStore(store), split: cut, ...signer });

          const small = Uint8Array.from(readFileSync(path.join(store, 'small', title, version)));
          const offset = small.length - parseHeader(small).length;
          const bigFile = path.join(store, 'big', `${made.payloadId}-${offset}`);
          const big = Uint8Array.from(readFileSync(bigFile));
          const container = concat(small, big);
          const trust = { name: title, version, publishers: signed ? [keys.publisher] : [] };
          for (const one of who) {
            const opened = openContainer(container, [keys.identities[one]], trust);
            expectSameFiles(opened.files, files, `opening with the ${one} key`);
            expect(same(encodeHeader(opened.header, opened.dataKey), small.subarray(0, opened.header.length))).toBe(true);
          }
          const payload = container.subarray(parseHeader(container).length);
          expect(hex(payloadDigest(payload)), 'the digest is not that of the payload').toBe(made.digest);
          expect(same(readFileSync(`${bigFile}.tree`), treeFile(payload)), 'the .tree file is another').toBe(true);
          expect(same(splitContainer(container, cut).small, small), 'the cut is elsewhere').toBe(true);
        }),
        options,
      );
      print(`interoperation: the reference opened ${rounds} models that the SDK protected`);
    },
    MINUTES,
  );

  it(
    'the SDK opens whatever the reference seals',
    async () => {
      let rounds = 0;
      const everyone = fc.subarray(['master', 'device', 'passphrase'] as const, { minLength: 1 });
      await fc.assert(
        fc.asyncProperty(model, name, name, everyone, fc.boolean(), async (files, title, version, who, signed) => {
          rounds += 1;
          const recipients = who.map((one) => keys.recipients[one]);
          const signer = signed ? { signer: keys.raw.signing } : {};
          const container = sealContainer(files, { name: title, version, recipients, ...signer });
          const verifier = publicKeyText('mgs1', keys.publisher);
          const origin = signed ? { verifier } : ({ unsigned: 'accept' } as const);
          for (const one of who) {
            using opened = await decrypt(container, { identities: [keys[one]], ref: { name: title, version }, ...origin });
            expectSameFiles(plainFiles(opened), files, `the SDK with the ${one} key`);
            expect(opened.metadata).toMatchObject({ name: title, version, format: 'raw', created: '2024-02-29T12:00:00Z' });
          }
          const cut = splitContainer(container);
          const parts = await split(container);
          expect(same(parts.small, cut.small) && same(parts.big, cut.big), 'the SDK cuts elsewhere').toBe(true);
          expect(same(await merge(cut.small, cut.big), container), 'merging is not concatenation').toBe(true);
        }),
        options,
      );
      print(`interoperation: the SDK opened ${rounds} containers that the reference sealed`);
    },
    MINUTES,
  );

  it('the SDK loads parts that the reference laid into a file store', async () => {
    const files: Files = new Map([['net.bin', random.bytes(100_000)]]);
    const container = sealContainer(files, {
      name: 'net',
      version: '1.0',
      recipients: [keys.recipients.master],
      signer: keys.raw.signing,
    });
    const store = path.join(folder, 'store-by-hand');
    const { small, big, offset } = splitContainer(container);
    mkdirSync(path.join(store, 'small/net'), { recursive: true });
    mkdirSync(path.join(store, 'big'));
    writeFileSync(path.join(store, 'small/net/1.0'), small);
    writeFileSync(path.join(store, 'big', `${parseHeader(small).facts.payloadId}-${offset}`), big);
    using loaded = await load('net@1.0', {
      from: fileStore(store),
      identities: [keys.master],
      verifier: publicKeyText('mgs1', keys.publisher),
    });
    expectSameFiles(plainFiles(loaded), files, 'the SDK');
  });
});
