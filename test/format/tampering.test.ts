/** Whatever is changed, moved, doubled, dropped or spliced in is refused, and nothing is released. */
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, encrypt, type Identity, load } from '../../src/index.js';
import { concat, same } from '../reference/bytes.js';
import { openContainer } from '../reference/container.js';
import { alter, rename } from '../reference/forge.js';
import { parseHeader, payloadLength } from '../reference/header.js';
import { SEALED } from '../reference/payload.js';
import { collectGarbage } from '../support/garbage.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { plaintextBytes } from '../support/process-memory.js';
import { scaled } from '../support/sample.js';
import { type Random, seeded } from '../support/seed.js';
import { Codes, refusal, serve } from '../support/table-store.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('tampering');
const random = seeded('tampering');
let keys: Keyring;
let plain: Uint8Array;
let container: Uint8Array;

beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  plain = random.bytes(70_000);
  container = await encrypt(plain, { name: 'net', version: '1', recipients: [keys.master, keys.device], signer: keys.signing });
});

async function regions(): Promise<number> {
  await collectGarbage();
  return plaintextBytes(process.pid);
}

const trusts = (identity: Identity = keys.master) =>
  [
    { identities: [identity], verifier: keys.signing.publicKey },
    { identities: [identity], unsigned: 'accept' },
  ] as const;

/** Refused under every trust, as bytes and as two parts in a store; the codes. */
async function refusals(forged: Uint8Array, what: string, cut?: number): Promise<readonly string[]> {
  const codes: string[] = [];
  for (const trust of trusts()) {
    codes.push(await refusal(() => decrypt(forged, trust)));
    if (cut === undefined) continue;
    const from = serve(new Map([['net@1', { small: forged.slice(0, cut), big: forged.slice(cut) }]]));
    codes.push(await refusal(() => load('net@1', { from, ...trust })));
  }
  for (const code of codes) {
    expect(code, `${what} was accepted`).not.toBe('released');
    expect(code, `${what} ended in no documented code`).toMatch(/^[A-Z_]+$/);
    expect(code, `${what} ended in a fault of ours`).not.toBe('INTERNAL');
  }
  return codes;
}

/** Payload cut into salt with commitment, and chunks. */
function pieces(bytes: Uint8Array): { header: Uint8Array; prefix: Uint8Array; chunks: Uint8Array[] } {
  const { length } = parseHeader(bytes);
  const chunks: Uint8Array[] = [];
  for (let at = length + 56; at < bytes.length; at += SEALED) chunks.push(bytes.slice(at, at + SEALED));
  return { header: bytes.slice(0, length), prefix: bytes.slice(length, length + 56), chunks };
}

function positions(rng: Random, length: number, count: number): number[] {
  const every = Array.from({ length: count }, (_, index) => Math.floor((index * length) / count));
  return every.map((at) => Math.min(length - 1, at + rng.integer(Math.ceil(length / count))));
}

describe('changed bytes', () => {
  it('the untouched container opens, or the rest of this file would prove nothing', async () => {
    for (const identity of [keys.master, keys.device]) {
      for (const trust of trusts(identity)) {
        using model = await decrypt(container, trust);
        expect(same(model.bytes, plain)).toBe(true);
      }
    }
  });

  it('a change at any sampled position is refused, and no memory of it is kept', async () => {
    const count = scaled(1000, 100);
    const codes = new Codes();
    const { length } = parseHeader(container);
    const before = await regions();
    // Half of the samples in the header, salt and commitment, which are small; half over everything.
    const sampled = [...positions(random, length + 56, count / 2), ...positions(random, container.length, count / 2)];
    for (const at of sampled) {
      const forged = container.slice();
      forged[at] = (forged[at] ?? 0) ^ random.mask();
      const cut = at < length + 56 ? undefined : length + 56 + 3000;
      for (const code of await refusals(forged, `a changed byte ${at}`, cut)) codes.add(code);
    }
    expect(await regions(), 'a refused model left plaintext regions behind').toBe(before);
    print(`tampering: ${sampled.length} positions, ${codes.total} refusals (${codes})`);
  });

  it('every sampled truncation and every appended byte is refused', async () => {
    const codes = new Codes();
    const boundaries = pieces(container).chunks.map((_, k) => parseHeader(container).length + 56 + k * SEALED);
    for (const length of [0, 1, 25, 26, ...boundaries, ...positions(random, container.length, scaled(100, 30))]) {
      for (const code of await refusals(container.slice(0, length), `a truncation to ${length}`)) codes.add(code);
    }
    for (const code of await refusals(concat(container, Uint8Array.of(0)), 'a byte more')) codes.add(code);
    print(`truncation: ${codes}`);
  });
});

describe('chunks', () => {
  const build = (header: Uint8Array, prefix: Uint8Array, chunks: readonly Uint8Array[]): Uint8Array =>
    concat(header, prefix, ...chunks);
  const swapped = (chunks: readonly Uint8Array[], a: number, b: number): Uint8Array[] =>
    chunks.map((chunk, k) => (k === a ? chunks[b] : k === b ? chunks[a] : chunk) ?? chunk);

  it('in another order are refused', async () => {
    const { header, prefix, chunks } = pieces(container);
    const whole = chunks.length - 1;
    for (let a = 0; a < whole; a += 1) {
      for (let b = a + 1; b < whole; b += 1) {
        const codes = await refusals(
          build(header, prefix, swapped(chunks, a, b)),
          `chunks ${a} and ${b} swapped`,
          header.length + 56 + 100,
        );
        expect(
          codes.filter((code) => code !== 'PARTS_MISMATCH' && code !== 'INTEGRITY_FAILED' && code !== 'DIGEST_MISMATCH'),
        ).toEqual([]);
      }
    }
  });

  it('repeated in place of another are refused', async () => {
    const { header, prefix, chunks } = pieces(container);
    for (let k = 0; k + 1 < chunks.length - 1; k += 1) {
      const doubled = chunks.map((chunk, index) => (index === k + 1 ? (chunks[k] ?? chunk) : chunk));
      await refusals(build(header, prefix, doubled), `chunk ${k} repeated`, header.length + 56 + 100);
    }
  });

  it('dropped or inserted are refused, with the claimed size as it was and adjusted', async () => {
    const { header, prefix, chunks } = pieces(container);
    const { facts } = parseHeader(container);
    const { dataKey } = openContainer(container, [keys.identities.master]);
    for (let k = 0; k < chunks.length; k += 1) {
      const dropped = build(
        header,
        prefix,
        chunks.filter((_, index) => index !== k),
      );
      await refusals(dropped, `chunk ${k} dropped`);
      const inserted = build(header, prefix, [...chunks.slice(0, k), chunks[k] ?? prefix, ...chunks.slice(k)]);
      await refusals(inserted, `chunk ${k} inserted`);
      if (k === chunks.length - 1) continue;
      // Without the data key the mac cannot follow; with it the slots, which bind to the core, no longer open.
      for (const [what, forged, plaintextSize] of [
        ['dropped', dropped, facts.plaintextSize - 16_384],
        ['inserted', inserted, facts.plaintextSize + 16_384],
      ] as const) {
        await refusals(alter(forged, { payloadLength: payloadLength(plaintextSize) }), `chunk ${k} ${what}, length adjusted`);
        await refusals(rename(forged, dataKey, { plaintextSize }), `chunk ${k} ${what}, core adjusted`);
      }
    }
  });

  it('of another container for the same keys are refused', async () => {
    const options = { name: 'net', version: '1', recipients: [keys.master, keys.device], signer: keys.signing };
    const others = [await encrypt(plain, options), await encrypt(random.bytes(plain.length), options)];
    const mine = pieces(container);
    for (const other of others.map(pieces)) {
      for (let k = 0; k < mine.chunks.length; k += 1) {
        const spliced = mine.chunks.map((chunk, index) => (index === k ? (other.chunks[k] ?? chunk) : chunk));
        await refusals(build(mine.header, mine.prefix, spliced), `chunk ${k} of another container`, mine.header.length + 56);
      }
      await refusals(build(mine.header, mine.prefix, other.chunks), 'all chunks of another container', mine.header.length + 56);
      await refusals(build(mine.header, other.prefix, mine.chunks), 'salt and commitment of another container');
      await refusals(build(mine.header, other.prefix, other.chunks), 'the payload of another container');
      await refusals(build(other.header, mine.prefix, mine.chunks), 'the header of another container');
    }
  });

  it('whose last is cut off at a chunk boundary are not taken for a whole model', async () => {
    const { header, prefix, chunks } = pieces(container);
    for (let keep = 0; keep < chunks.length; keep += 1) {
      await refusals(build(header, prefix, chunks.slice(0, keep)), `only ${keep} chunks`);
    }
  });
});
