/** Only the two parts of one model at one version belong together, and only under their own reference. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { load, memoryStore, merge, type PartStore, protect, SigningKey } from '../../src/index.js';
import { concat, same } from '../reference/bytes.js';
import { openContainer } from '../reference/container.js';
import { reencrypt, resign } from '../reference/forge.js';
import { parseHeader } from '../reference/header.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { seeded } from '../support/seed.js';
import { Codes, refusal, type Served, serve, takeParts } from '../support/table-store.js';
import { temporaryFolder } from '../support/temp.js';

// Versions of one model have one size, so that the size of a part tells nothing.
const SIZES = { alpha: 40_000, beta: 90_001, gamma: 16_384, delta: 131_072 } as const;
const VERSIONS = ['1', '2', '2.1'] as const;
const folder = temporaryFolder('pairing');
const random = seeded('pairing');

interface Published extends Served {
  readonly ref: string;
  readonly plain: Uint8Array;
  readonly file: string;
}
const published: Published[] = [];
let keys: Keyring;

async function publish(name: string, version: string, size: number): Promise<Published> {
  const ref = `${name}@${version}`;
  const plain = random.bytes(size);
  const source = path.join(folder, `${ref}.bin`);
  writeFileSync(source, plain);
  const to = memoryStore();
  const { payloadId, smallBytes } = await protect(source, { name, version, to, recipients: [keys.master], signer: keys.signing });
  const small = await to.getSmall({ name, version });
  expect(small.length, 'protect reports another size than it stored').toBe(smallBytes);
  const offset = small.length - parseHeader(small).length;
  const served = await takeParts(to, { name, version }, `${payloadId}-${offset}`);
  const file = path.join(folder, `${ref}.big`);
  writeFileSync(file, served.big);
  return { ...served, ref, plain, file };
}

beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  for (const [name, size] of Object.entries(SIZES)) {
    for (const version of VERSIONS) published.push(await publish(name, version, size));
  }
});

const pinned = () => ({ identities: [keys.master], verifier: keys.signing.publicKey });
const open = () => ({ identities: [keys.master], unsigned: 'accept' as const });

/** Loads `small` and `big` under a reference; the plaintext, or the code of the refusal. */
async function loadPair(ref: string, small: Published, big: Published, how: 'file' | 'bytes', trust: 'pinned' | 'open') {
  const { file } = big;
  const served = { small: small.small, big: big.big, ...(how === 'file' ? { file } : {}) };
  const from: PartStore = serve(new Map([[ref, served]]));
  let plain: Uint8Array | undefined;
  const code = await refusal(async () => {
    const model = await load(ref, { from, ...(trust === 'pinned' ? pinned() : open()) });
    plain = Uint8Array.from(model.bytes);
    return model;
  });
  return { code, plain };
}

describe('pairs of parts', () => {
  it.for([
    ['file', 'pinned'],
    ['file', 'open'],
    ['bytes', 'pinned'],
    ['bytes', 'open'],
  ] as const)('of 144 combinations only the 12 right ones load (big part as %s, origin %s)', async ([how, trust]) => {
    const codes = new Codes();
    for (const small of published) {
      for (const big of published) {
        const { code, plain } = await loadPair(small.ref, small, big, how, trust);
        codes.add(code);
        if (small === big) {
          expect(plain !== undefined && same(plain, small.plain), `${small.ref} does not load (${code})`).toBe(true);
        } else {
          expect(code, `the small part of ${small.ref} with the big part of ${big.ref}`).toBe('PARTS_MISMATCH');
        }
      }
    }
    print(`pairing, big part as ${how}, origin ${trust}: ${codes}`);
  });

  it('merge refuses every wrong pair before any key is involved', async () => {
    const codes = new Codes();
    for (const small of published) {
      for (const big of published) {
        const code = await refusal(async () => merge(small.small, big.big));
        codes.add(code);
        expect(code, `${small.ref} with ${big.ref}`).toBe(small === big ? 'released' : 'PARTS_MISMATCH');
      }
    }
    print(`merging: ${codes}`);
  });

  it('both parts of one model under the reference of another are refused', async () => {
    const codes = new Codes();
    for (const asked of published) {
      for (const served of published.filter((one) => one !== asked)) {
        for (const trust of ['pinned', 'open'] as const) {
          const { code } = await loadPair(asked.ref, served, served, 'bytes', trust);
          codes.add(code);
          expect(code, `${served.ref} served as ${asked.ref}`).toBe('REFERENCE_MISMATCH');
        }
      }
    }
    print(`wrong references: ${codes}`);
  });

  it('every model that the pinned publisher did not sign is refused', async () => {
    const stranger = random.bytes(32);
    const codes = new Codes();
    for (const model of published) {
      const container = concat(model.small, model.big);
      const { dataKey, message } = openContainer(container, [keys.identities.master]);
      const other = Uint8Array.from(message);
      other[other.length - 1] = (other[other.length - 1] ?? 0) ^ 1;
      // Whoever has the master key has the data key, and so can make all of these; the publisher's key he has not.
      const forgeries: readonly [string, Uint8Array, readonly string[]][] = [
        ['no signature', resign(container, dataKey), ['SIGNATURE_MISSING']],
        ["a stranger's signature", resign(container, dataKey, stranger), ['SIGNATURE_INVALID']],
        ['another model under the old signature', reencrypt(container, dataKey, other), ['SIGNATURE_INVALID']],
        [
          'another model under the old digest',
          reencrypt(container, dataKey, other, { keepDigest: true }),
          ['PARTS_MISMATCH', 'DIGEST_MISMATCH'],
        ],
      ];
      for (const [what, forged, expected] of forgeries) {
        const cut = model.small.length + (parseHeader(forged).length - parseHeader(container).length);
        const served = { small: forged.slice(0, cut), big: forged.slice(cut) };
        const from = serve(new Map([[model.ref, served]]));
        const code = await refusal(() => load(model.ref, { from, ...pinned() }));
        codes.add(code);
        expect(expected, `${model.ref} with ${what} ends in ${code}`).toContain(code);
      }
      const from = serve(new Map([[model.ref, model]]));
      const verifier = SigningKey.generate().publicKey;
      const code = await refusal(() => load(model.ref, { from, identities: [keys.master], verifier }));
      expect(code, 'a loader that pins another publisher').toBe('SIGNATURE_INVALID');
    }
    print(`not signed by the pinned publisher: ${codes}`);
  });

  it('a loader that says nothing about the origin loads nothing', async () => {
    const [model] = published;
    if (model === undefined) throw new Error('nothing was published');
    const from = serve(new Map([[model.ref, model]]));
    expect(await refusal(() => load(model.ref, { from, identities: [keys.master] }))).toBe('VERIFIER_REQUIRED');
  });
});
