/**
 * Machine files and the helper data in them, damaged and hostile: no change to a file of the SDK goes unnoticed, and of files whose
 * checksum fits, both implementations take the same ones.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { encrypt, exportMachine, hardware, ModelGuardError } from '../../src/index.js';
import { call } from '../../src/native/index.js';
import { failureOf } from '../support/failures.js';
import { useMachine } from '../support/machine-addon.js';
import { machineTree } from '../support/machine-tree.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';
import { refused } from '../support/wycheproof.js';
import { ascii, concat, hex, u16, u32, utf8 } from './bytes.js';
import { encodeHelper, FACTORS, type Helper, KIND } from './helper.js';
import { parseMachineFile, publicKeyOf } from './machines.js';
import { digest } from './primitives.js';
import { toBase64url } from './salts.js';

const folder = temporaryFolder('machine-files');
const random = seeded('machine files');
const MINUTES = 300_000;
const options = (full: number) => ({ seed: random.seed, numRuns: scaled(full, 200) });
const target = path.join(folder, 'machine.json');
let good: Uint8Array;
beforeAll(async () => {
  useMachine(await machineTree('bare-metal-nvme-nvidia').write());
  await exportMachine(target, { require: ['drive'], atLeast: 3 });
  good = Uint8Array.from(readFileSync(target));
});

/** The code with which the SDK refuses a machine file, or `taken`. */
function judge(file: Uint8Array): string {
  try {
    call((native) => native.parseMachineFile(file, { require: [], atLeast: 1 }));
    return 'taken';
  } catch (error) {
    if (error instanceof ModelGuardError) return error.code;
    throw error;
  }
}

/** A machine file around any bytes, with the checksum that fits: only the rules of helper data can refuse it. */
function around(helper: Uint8Array, box = random.bytes(48), publicKey = publicKeyOf(random.bytes(32))): Uint8Array {
  const members = {
    box: toBase64url(box),
    checksum: hex(digest('sha256', ascii('model-guard/v1/machine'), helper, box, publicKey).slice(0, 8)),
    helper: toBase64url(helper),
    publicKey: `mgx1:${toBase64url(publicKey)}`,
    version: 1,
  };
  return utf8(`${JSON.stringify(members)}\n`);
}

function bothJudge(file: Uint8Array): 'taken' | 'refused' {
  const code = judge(file);
  const verdict = refused(() => parseMachineFile(file)) ? 'refused' : 'taken';
  expect(code, `the reference has it ${verdict}: ${Buffer.from(file).toString('latin1')}`).toBe(
    verdict === 'taken' ? 'taken' : 'MACHINE_FILE_INVALID',
  );
  return verdict;
}

describe('a machine file of the SDK', () => {
  it('is taken as it is', () => {
    expect(judge(good)).toBe('taken');
    expect(refused(() => parseMachineFile(good))).toBe(false);
  });

  it('is refused after a change of any bit or cut anywhere, and only another version is said to be newer', {
    timeout: MINUTES,
  }, () => {
    const version = Buffer.from(good).indexOf('"version":1') + '"version":'.length;
    let changes = 0;
    for (let at = 0; at < good.length; at += 1) {
      expect(judge(good.slice(0, at)), `cut at ${at}`).toBe('MACHINE_FILE_INVALID');
      for (let bit = 1; bit < 256; bit *= 2) {
        const changed = good.map((byte, index) => (index === at ? byte ^ bit : byte));
        const digit = String.fromCharCode(changed[version] ?? 0);
        const wanted = at === version && '23456789'.includes(digit) ? 'VERSION_UNSUPPORTED' : 'MACHINE_FILE_INVALID';
        expect(judge(changed), `bit ${bit} of byte ${at}`).toBe(wanted);
        changes += 1;
      }
    }
    print(`machine files: ${changes} changed bits and ${good.length} cuts refused`);
  });

  it('is refused through the public face as well', async () => {
    const changed = path.join(folder, 'changed.json');
    for (const [content, code] of [
      [good.slice(0, -1), 'MACHINE_FILE_INVALID'],
      [good.map((byte, at) => (at === 20 ? byte ^ random.mask() : byte)), 'MACHINE_FILE_INVALID'],
      [utf8(Buffer.from(good).toString('latin1').replace('"version":1', '"version":2')), 'VERSION_UNSUPPORTED'],
      [new Uint8Array(0), 'MACHINE_FILE_INVALID'],
    ] as const) {
      writeFileSync(changed, content);
      expect((await failureOf(() => encrypt(random.bytes(10), { recipients: [hardware(changed)] }))).code).toBe(code);
    }
  });

  it('is refused with any bytes put in, taken out or written over', { timeout: MINUTES }, () => {
    const edit = fc.record({
      at: fc.nat(good.length),
      cut: fc.nat(40),
      put: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.string({ maxLength: 20 }).map(utf8),
        fc.constantFrom(ascii(' '), ascii('\n')),
      ),
    });
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        const changed = concat(good.slice(0, at), put, good.slice(at + cut));
        fc.pre(Buffer.compare(changed, good) !== 0);
        expect(['MACHINE_FILE_INVALID', 'VERSION_UNSUPPORTED']).toContain(judge(changed));
      }),
      options(5000),
    );
  });

  it('of a newer version is said to be newer, whatever else is in it', () => {
    const text = (members: object): Uint8Array => utf8(`${JSON.stringify(members)}\n`);
    const members = JSON.parse(Buffer.from(good).toString('utf8'));
    for (const version of [2, 3, 10, 2 ** 53 - 1]) {
      expect(judge(text({ ...members, version })), `version ${version}`).toBe('VERSION_UNSUPPORTED');
      expect(judge(text({ version })), `version ${version} alone`).toBe('VERSION_UNSUPPORTED');
      expect(judge(text({ a: [{ b: 'c' }], ...members, version })), `version ${version} and more`).toBe('VERSION_UNSUPPORTED');
    }
    for (const version of [0, -1, 1.5, '1', '2', null, 2 ** 53, true, [2]])
      expect(judge(text({ ...members, version })), `version ${JSON.stringify(version)}`).toBe('MACHINE_FILE_INVALID');
  });
});

/** Mostly what is allowed, sometimes just beside it. */
const near = (low: number, high: number) =>
  fc.oneof({ weight: 12, arbitrary: fc.integer({ min: low, max: high }) }, fc.constantFrom(0, high + 1, 255));

const sized = (content: Uint8Array): Uint8Array => concat(u16(content.length), content);
const ATTRIBUTES = 0x492; // fixedTPM, fixedParent, adminWithPolicy, noDA
/** A name of the primary key, then TPM2B_PUBLIC and TPM2B_PRIVATE of a sealed object, as section 12 orders them. */
const tpmBlob = fc
  .record({ pcrs: fc.constantFrom(1 << 7, 0x95, 1 << 23), privatePart: fc.nat(200) })
  .map(({ pcrs, privatePart }) => {
    const [policy, unique] = [random.bytes(32), random.bytes(32)];
    const object = concat(u16(0x0008), u16(0x000b), u32(ATTRIBUTES), sized(policy), u16(0x0010), sized(unique));
    const name = concat(u16(0x000b), random.bytes(32));
    return concat(u32(pcrs), sized(name), sized(sized(object)), sized(sized(random.bytes(privatePart + 1))));
  });

/** Helper data field by field, so that each rule is broken with all others kept. */
const rawFactor = fc.record({
  kind: near(1, 6),
  flags: near(0, 1),
  weight: near(1, 16),
  extra: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, fc.constantFrom(-32, -1, 1, 32)),
});
const rawHelper = fc
  .record({
    threshold: near(1, 12),
    factors: fc
      .uniqueArray(rawFactor, { minLength: 1, maxLength: 6, selector: ({ kind }) => kind })
      .map((factors) => factors.sort((a, b) => a.kind - b.kind)),
    shuffled: fc.integer({ min: 0, max: 15 }),
    n: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(-1, 1, 3)),
    tpm: fc.oneof({ weight: 8, arbitrary: fc.constant(new Uint8Array(0)) }, fc.uint8Array({ maxLength: 20 })),
    tpmLength: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(-1, 1, 2048)),
    tail: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(1, 32)),
  })
  .map(({ threshold, factors, shuffled, n, tpm, tpmLength, tail }) => {
    const order = shuffled === 0 ? [...factors].reverse() : shuffled === 1 ? [...factors, ...factors.slice(-1)] : factors;
    return concat(
      random.bytes(40),
      Uint8Array.of(threshold, order.length + n),
      ...order.map(({ kind, flags, weight, extra }) =>
        concat(Uint8Array.of(kind, flags, weight), random.bytes(Math.max(0, 16 + 32 * weight + extra))),
      ),
      u16(Math.max(0, tpm.length + tpmLength)),
      tpm,
      random.bytes(tail),
    );
  });

describe('helper data', () => {
  it('made field by field are judged alike by both', { timeout: MINUTES }, () => {
    const seen = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(rawHelper, (helper) => {
        seen[bothJudge(around(helper))] += 1;
      }),
      options(3000),
    );
    print(`helper data, field by field: ${seen.taken} taken, ${seen.refused} refused by both`);
    expect(Math.min(seen.taken, seen.refused), 'one verdict alone proves little').toBeGreaterThan(10);
  });

  it('of the SDK with bytes changed, put in or taken out are judged alike by both', { timeout: MINUTES }, () => {
    const { helper, box, publicKey } = parseMachineFile(good);
    const from = encodeHelper(helper);
    const rest = from.length - 2;
    // The bytes that mean something: threshold, n, and kind, flags and weight of each factor of weight 1; the TPM length.
    const meaningful = [40, 41, ...[0, 1, 2, 3].flatMap((i) => [0, 1, 2].map((field) => 42 + i * 51 + field)), rest, rest + 1];
    const seen = { taken: 0, refused: 0 };
    for (const at of meaningful) {
      for (let value = 0; value < 256; value += 1) {
        const changed = from.map((byte, index) => (index === at ? value : byte));
        seen[bothJudge(around(changed, box, publicKey))] += 1;
      }
    }
    const edit = fc.record({ at: fc.nat(from.length), cut: fc.nat(60), put: fc.uint8Array({ maxLength: 60 }) });
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        seen[bothJudge(around(concat(from.slice(0, at), put, from.slice(at + cut)), box, publicKey))] += 1;
      }),
      options(3000),
    );
    print(`helper data, edited: ${seen.taken} taken, ${seen.refused} refused by both`);
  });

  it('with a TPM blob are taken by both where it is sound, and by the SDK alone never', { timeout: MINUTES }, () => {
    const base: Helper = {
      saltsId: random.bytes(8),
      salt: random.bytes(32),
      threshold: 1,
      factors: [{ name: 'cpu', required: false, salt: random.bytes(16), shares: [random.bytes(32)] }],
      tpm: new Uint8Array(0),
    };
    const seen = { taken: 0, refused: 0, 'refused by the SDK alone': 0 };
    const edit = fc.record({ at: fc.nat(350), cut: fc.nat(3), put: fc.uint8Array({ maxLength: 3 }) });
    fc.assert(
      fc.property(tpmBlob, edit, (blob, { at, cut, put }) => {
        expect(bothJudge(around(encodeHelper({ ...base, tpm: blob })))).toBe('taken');
        const edited = around(encodeHelper({ ...base, tpm: concat(blob.slice(0, at), put, blob.slice(at + cut)) }));
        const code = judge(edited);
        // Section 12 leaves open how far a reader looks into the TPM's own structures; the reference looks at their sizes.
        if (code === 'taken' || refused(() => parseMachineFile(edited))) seen[bothJudge(edited)] += 1;
        else seen['refused by the SDK alone'] += 1;
      }),
      options(2000),
    );
    print(`helper data with a TPM blob: ${JSON.stringify(seen)}`);
    expect(Math.min(seen.taken, seen.refused), 'one verdict alone proves little').toBeGreaterThan(10);
  });

  it('know no kinds but these', () => {
    expect(FACTORS.map((name) => KIND[name])).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
