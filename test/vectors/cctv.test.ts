/**
 * C2SP CCTV's 914 edge cases of Ed25519. The file fixes no verdict, because implementations differ; the rule below is that of
 * docs/format.md, section 7. A wrong one means that two implementations of the format disagree on a publisher's signature, or that a key
 * without a secret signs anything.
 */
import { beforeAll, expect, it } from 'vitest';
import { utf8 } from '../reference/bytes.js';
import { verify } from '../reference/primitives.js';
import { print } from '../support/print.js';
import { needShared, readJson } from '../support/shared.js';
import { loadPrimitives, type Primitives } from '../support/test-addon.js';

interface Vector {
  readonly number: number;
  readonly key: string;
  readonly sig: string;
  readonly msg: string;
  readonly flags: readonly string[] | null;
}

/**
 * Refused: a key of small order or not canonical; an R that is not canonical, because R is compared as bytes; and what only the equation
 * with cofactor accepts. Accepted all the same: an R of small order, and a key or an R with a part of small order.
 */
const REFUSED = ['low_order_A', 'non_canonical_A', 'non_canonical_R', 'low_order_residue'];
const KNOWN = [...REFUSED, 'low_order_R', 'low_order_component_A', 'low_order_component_R', 'reencoded_k'];

let addon: Primitives;
beforeAll(() => {
  addon = loadPrimitives();
});

it('verifies the edge cases of Ed25519 as section 7 says, and so does the reference', (context) => {
  const vectors = readJson(`${needShared(context, 'vectors', 'cctv')}/ed25519vectors.json`) as readonly Vector[];
  const wrong: string[] = [];
  const counts = { accepted: 0, refused: 0 };
  for (const { number, key, sig, msg, flags } of vectors) {
    const marks = flags ?? [];
    expect(KNOWN, `vector ${number}`).toEqual(expect.arrayContaining([...marks]));
    const wanted = !marks.some((flag) => REFUSED.includes(flag));
    const [publicKey, signature] = [Buffer.from(key, 'hex'), Buffer.from(sig, 'hex')];
    counts[wanted ? 'accepted' : 'refused'] += 1;
    if (addon.ed25519Verify(publicKey, utf8(msg), signature) !== wanted) wrong.push(`addon ${number}: ${marks.join(', ')}`);
    if (verify(publicKey, utf8(msg), signature) !== wanted) wrong.push(`reference ${number}: ${marks.join(', ')}`);
  }
  print(`CCTV ed25519: ${vectors.length} (${counts.accepted} accepted, ${counts.refused} refused)`);
  expect(wrong).toEqual([]);
  expect(vectors.length).toBe(914);
  expect(counts.accepted).toBeGreaterThan(0);
});
