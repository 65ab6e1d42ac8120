/**
 * Containers that break one rule of docs/format.md each, made by somebody who has the keys: every length, signature and mac
 * fits, so that only the rule itself can refuse them. The SDK and the reference refuse the same ones, and accept the same.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, type Identity } from '../../src/index.js';
import { call } from '../../src/native/index.js';
import { ascii, concat, same, u16, u32, utf8 } from '../reference/bytes.js';
import { openContainer, type SealOptions, sealContainer, sealMessage } from '../reference/container.js';
import { coreHash, keyId, writeCore } from '../reference/core.js';
import { reclaim } from '../reference/forge.js';
import { type Claims, encodeHeader, parseHeader, SLOT, type Slot } from '../reference/header.js';
import { encodeHelper, type Helper } from '../reference/helper.js';
import { checkPath, rawMessage, writeManifest } from '../reference/manifest.js';
import { payloadContext, payloadDigest, sealPayload } from '../reference/payload.js';
import { publicOf } from '../reference/primitives.js';
import { wrap } from '../reference/slots.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { Codes, refusal } from '../support/table-store.js';
import { temporaryFolder } from '../support/temp.js';
import { refused } from '../support/wycheproof.js';

const CHUNK = 16_384;
const folder = temporaryFolder('strictness');
const random = seeded('strictness');
const dataKey = random.bytes(32);
let keys: Keyring;
beforeAll(async () => {
  keys = await makeKeyring(folder, random);
});

const options = (): SealOptions => ({ name: 'net', version: '1', recipients: [keys.recipients.master], dataKey });
const good = (): Uint8Array => sealContainer(new Map([['a', random.bytes(100)]]), options());
const identities = (): Identity[] => [keys.device, keys.master];
const deviceKey = (): Uint8Array => publicOf('x25519', keys.raw.device.slice(0, 32));

/** The code with which the SDK refuses, once the reference has refused as well. */
async function bothRefuse(container: Uint8Array, what: string): Promise<string> {
  expect(
    refused(() => openContainer(container, [keys.identities.device, keys.identities.master])),
    `the reference accepts ${what}`,
  ).toBe(true);
  const code = await refusal(() => decrypt(container, { identities: identities(), unsigned: 'accept' }));
  expect(code, `the SDK accepts ${what}`).not.toBe('released');
  return code;
}

async function bothAccept(container: Uint8Array, what: string): Promise<void> {
  const { files } = openContainer(container, [keys.identities.device, keys.identities.master]);
  using model = await decrypt(container, { identities: identities(), unsigned: 'accept' });
  expect([...model.files.keys()], `the SDK sees other files in ${what}`).toEqual([...files.keys()]);
  for (const [path, bytes] of files) expect(same(model.files.get(path)?.bytes ?? bytes, bytes), `${path} of ${what}`).toBe(true);
}

const entry = (path: string, offset: number, size: number) => ({ path, offset, size });

/** A message with this manifest and as many bytes of file area. */
function message(entries: readonly { path: string; offset: number; size: number }[], area: number): Uint8Array {
  return rawMessage(writeManifest(entries), new Uint8Array(area));
}
const manifest = (json: string, area = 0): Uint8Array => rawMessage(utf8(json), new Uint8Array(area));

describe('messages', () => {
  const dirty = (at: number): Uint8Array => {
    const bytes = message([entry('a', 0, 5), entry('b', CHUNK, 5)], CHUNK + 5);
    bytes[at] = 1;
    return bytes;
  };
  const bad: Readonly<Record<string, () => Uint8Array>> = {
    'no file': () => manifest('{"files":[]}'),
    'a manifest that is a list': () => manifest('[]'),
    'a manifest with another member': () => manifest('{"extra":1,"files":[{"offset":0,"path":"a","size":0}]}'),
    'a file with another member': () => manifest('{"files":[{"mode":1,"offset":0,"path":"a","size":0}]}'),
    'a file without a size': () => manifest('{"files":[{"offset":0,"path":"a"}]}'),
    'members in another order': () => manifest('{"files":[{"path":"a","offset":0,"size":0}]}'),
    'a space in the manifest': () => manifest('{"files": [{"offset":0,"path":"a","size":0}]}'),
    'a member twice': () => manifest('{"files":[{"offset":0,"offset":0,"path":"a","size":0}]}'),
    'an escape that need not be': () => manifest('{"files":[{"offset":0,"path":"\\u0061","size":0}]}'),
    'a byte order mark': () => manifest('\ufeff{"files":[{"offset":0,"path":"a","size":0}]}'),
    'a size with a fraction': () => manifest('{"files":[{"offset":0,"path":"a","size":1.0}]}', 1),
    'a negative size': () => manifest('{"files":[{"offset":0,"path":"a","size":-1}]}'),
    'a size of 2^53': () => manifest('{"files":[{"offset":0,"path":"a","size":9007199254740992}]}'),
    'a size as text': () => manifest('{"files":[{"offset":0,"path":"a","size":"0"}]}'),
    'half of a surrogate pair': () => manifest('{"files":[{"offset":0,"path":"\\ud800","size":0}]}'),
    'bytes that are no UTF-8': () =>
      rawMessage(concat(utf8('{"files":[{"offset":0,"path":"'), Uint8Array.of(0xff), utf8('","size":0}]}')), new Uint8Array(0)),
    'an empty manifest': () => rawMessage(new Uint8Array(0), new Uint8Array(0)),
    'a manifest longer than the message': () => concat(u32(CHUNK), new Uint8Array(CHUNK - 4)),
    'a manifest of 4 GiB': () => concat(u32(0xffff_ffff), new Uint8Array(CHUNK - 4)),
    'nesting to the tenth level': () => manifest(`{"files":${'['.repeat(10)}${']'.repeat(10)}}`),
    'files out of order': () => message([entry('b', 0, 5), entry('a', CHUNK, 5)], CHUNK + 5),
    'the same path twice': () => message([entry('a', 0, 5), entry('a', CHUNK, 5)], CHUNK + 5),
    'paths equal but for their case': () => message([entry('A', 0, 5), entry('a', CHUNK, 5)], CHUNK + 5),
    'paths equal after full folding': () => message([entry('STRASSE', 0, 5), entry('straße', CHUNK, 5)], CHUNK + 5),
    'a file that is a folder': () => message([entry('a', 0, 5), entry('a/b', CHUNK, 5)], CHUNK + 5),
    'a file that is a folder but for its case': () => message([entry('A/b', 0, 5), entry('a', CHUNK, 5)], CHUNK + 5),
    'a path out of the folder': () => message([entry('../a', 0, 5)], 5),
    'an absolute path': () => message([entry('/a', 0, 5)], 5),
    'a path that is not in form C': () => message([entry('e\u0301', 0, 5)], 5),
    'a reserved path': () => message([entry('nul.onnx', 0, 5)], 5),
    'a first offset above 0': () => message([entry('a', CHUNK, 5)], CHUNK + 5),
    'an offset that is not rounded up': () => message([entry('a', 0, 5), entry('b', 5, 5)], 10),
    'an offset one chunk too far': () => message([entry('a', 0, 5), entry('b', 2 * CHUNK, 5)], 2 * CHUNK + 5),
    'files that overlap': () => message([entry('a', 0, CHUNK), entry('b', 0, 5)], CHUNK),
    'a message one byte too long': () => message([entry('a', 0, 5)], 6),
    'a message one byte too short': () => message([entry('a', 0, 6)], 5),
    'padding between files that is not zero': () => dirty(CHUNK + 5),
    'padding before a file that is not zero': () => dirty(2 * CHUNK - 1),
    'padding behind the manifest that is not zero': () => dirty(CHUNK - 1),
  };

  it.for(Object.keys(bad))('with %s are refused by both', async (what) => {
    const build = bad[what];
    if (build === undefined) throw new Error('no such case');
    expect(await bothRefuse(sealMessage(build(), options()), what)).toBe('MANIFEST_INVALID');
  });

  const fine: Readonly<Record<string, () => Uint8Array>> = {
    'one empty file': () => message([entry('a', 0, 0)], 0),
    'empty files between others': () => message([entry('a', 0, 5), entry('b', CHUNK, 0), entry('c', CHUNK, 7)], CHUNK + 7),
    'an empty file at the end': () => message([entry('a', 0, 5), entry('b', CHUNK, 0)], CHUNK),
    'a manifest that fills its chunk to the byte': () => {
      const entries = [entry('z', 0, 3)];
      const missing = (): number => CHUNK - 4 - writeManifest(entries).length;
      while (missing() > 250) entries.unshift(entry(`${100 + entries.length}${'y'.repeat(200)}`, 0, 0));
      const bytes = writeManifest([
        ...entries.slice(0, -1).sort((a, b) => (a.path < b.path ? -1 : 1)),
        entry('z'.repeat(1 + missing()), 0, 3),
      ]);
      expect(bytes.length, 'the case is not what it says').toBe(CHUNK - 4);
      return rawMessage(bytes, new Uint8Array(3));
    },
    'ten thousand files': () =>
      message(
        Array.from({ length: 10_000 }, (_, index) => entry(String(index).padStart(5, '0'), 0, 0)),
        0,
      ),
    'order by bytes, not by UTF-16': () => message([entry('\uff61', 0, 1), entry('\u{10000}', CHUNK, 1)], CHUNK + 1),
    'the letters of the world': () => message([entry('modèle/Ωμέγα/模型/ı', 0, 1)], 1),
  };
  it.for(Object.keys(fine))('with %s are accepted by both', async (what) => {
    await bothAccept(sealMessage(fine[what]?.() ?? new Uint8Array(0), options()), what);
  });

  it('with ten thousand and one files are refused by both', async () => {
    const entries = Array.from({ length: 10_001 }, (_, index) => entry(String(index).padStart(5, '0'), 0, 0));
    const code = await bothRefuse(sealMessage(message(entries, 0), options()), '10,001 files');
    expect(['MANIFEST_INVALID', 'LIMIT_EXCEEDED']).toContain(code);
  });
});

describe('headers', () => {
  /** A container whose core is these bytes. */
  function withCore(core: Uint8Array, length?: number): Uint8Array {
    const hash = coreHash(core);
    const plain = message([entry('a', 0, 9)], 9);
    const payload = sealPayload(dataKey, payloadContext(hash), plain);
    const claims: Claims = {
      core,
      digest: payloadDigest(payload),
      payloadLength: length ?? payload.length,
      slots: [wrap({ master: keys.raw.master }, dataKey, hash)],
      signatures: [],
    };
    return concat(encodeHeader(claims, dataKey), payload);
  }
  const facts = {
    created: '2024-02-29T12:00:00Z',
    format: 'raw',
    name: 'net',
    payloadId: '0'.repeat(32),
    plaintextSize: CHUNK + 9,
    version: '1',
  };
  const core = (change: Readonly<Record<string, unknown>>): Uint8Array =>
    utf8(JSON.stringify({ ...facts, ...change }, Object.keys({ ...facts, ...change }).sort()));

  it('as this file makes them are accepted, or its refusals would prove nothing', async () => {
    await bothAccept(withCore(writeCore(facts)), 'a plain core');
    await bothAccept(withCore(core({ name: 'a'.repeat(128), version: '0.1_b-c', format: '9' })), 'names of all kinds');
  });

  const bad: Readonly<Record<string, () => Uint8Array>> = {
    'a capital in the name': () => core({ name: 'Net' }),
    'a name of 129 letters': () => core({ name: 'a'.repeat(129) }),
    'an empty version': () => core({ version: '' }),
    'a version that begins with a dot': () => core({ version: '.1' }),
    'a format with a space': () => core({ format: 'on nx' }),
    'a payload id in capitals': () => core({ payloadId: 'A'.repeat(32) }),
    'a payload id that is too short': () => core({ payloadId: '0'.repeat(31) }),
    'a time without seconds': () => core({ created: '2024-02-29T12:00Z' }),
    'a time in another zone': () => core({ created: '2024-02-29T12:00:00+' }),
    'a plaintext of another size': () => core({ plaintextSize: CHUNK + 10 }),
    'a plaintext of less than a chunk': () => core({ plaintextSize: CHUNK - 1 }),
    'a plaintext of more than 2^52': () => core({ plaintextSize: 2 ** 52 + 1 }),
    'a member too many': () => core({ zeta: 1 }),
    'a space': () => utf8(JSON.stringify(facts).replace(':', ': ')),
    'no object': () => utf8('"core"'),
    'a member too few': () => utf8('{"created":"2024-02-29T12:00:00Z"}'),
  };
  it.for(Object.keys(bad))('with %s in the core are refused by both', async (what) => {
    const bytes = bad[what]?.() ?? new Uint8Array(0);
    await bothRefuse(withCore(bytes), what);
    // The length that such a core implies does not help either.
    await bothRefuse(withCore(bytes, parseHeader(good()).payloadLength), what);
  });

  const slotCases: Readonly<Record<string, { readonly slots: (mine: Slot) => readonly Slot[]; readonly ok: boolean }>> = {
    'an unknown slot': { slots: (mine) => [{ ...mine, type: 99, body: random.bytes(7) }, mine], ok: true },
    'an unknown slot of no body': { slots: (mine) => [mine, { ...mine, type: 65_535, body: new Uint8Array(0) }], ok: true },
    'a reserved slot': { slots: (mine) => [{ ...mine, type: SLOT.postQuantum, body: random.bytes(300) }, mine], ok: true },
    'a hardware slot of some machine': { slots: (mine) => [hardwareSlot(helper()), mine], ok: true },
    'a critical hardware slot': { slots: (mine) => [{ ...hardwareSlot(helper()), flags: 1 }, mine], ok: true },
    'a hardware slot of a byte more': { slots: (mine) => [mine, hardwareSlot(helper(), 129)], ok: false },
    'a hardware slot of a byte less': { slots: (mine) => [mine, hardwareSlot(helper(), 127)], ok: false },
    'a hardware slot of a threshold out of reach': { slots: (mine) => [mine, hardwareSlot(helper({ threshold: 3 }))], ok: false },
    'a hardware slot without factors': { slots: (mine) => [mine, hardwareSlot(helper({ factors: [] }))], ok: false },
    'a hardware slot of nothing but a box': { slots: (mine) => [mine, hardwareSlot(new Uint8Array(0))], ok: false },
    'an unknown critical slot': { slots: (mine) => [mine, { ...mine, type: 99, flags: 1, body: random.bytes(7) }], ok: false },
    'a reserved critical slot': { slots: (mine) => [mine, { ...mine, type: SLOT.postQuantum, flags: 1 }], ok: false },
    'an unknown flag': { slots: (mine) => [mine, { ...mine, type: 99, flags: 2 }], ok: false },
    'thirty-two slots': { slots: (mine) => [...Array.from({ length: 31 }, () => ({ ...mine, type: 99 })), mine], ok: true },
    'thirty-three slots': { slots: (mine) => [...Array.from({ length: 32 }, () => ({ ...mine, type: 99 })), mine], ok: false },
    'no slot': { slots: () => [], ok: false },
    'a slot at its longest': { slots: (mine) => [{ ...mine, type: 99, body: random.bytes(16_374) }, mine], ok: true },
    'a slot longer than allowed': { slots: (mine) => [{ ...mine, type: 99, body: random.bytes(16_375) }, mine], ok: false },
    'a known slot that is too short': { slots: (mine) => [mine, { ...mine, body: random.bytes(79) }], ok: false },
    'a known slot that is too long': { slots: (mine) => [mine, { ...mine, body: random.bytes(81) }], ok: false },
    'a slot before it that does not open': { slots: (mine) => [{ ...mine, body: random.bytes(80) }, mine], ok: true },
    'a slot before it whose sender sent zeros': {
      slots: (mine) => [
        { ...mine, type: SLOT.x25519, keyId: keyId(deviceKey()), body: concat(new Uint8Array(32), random.bytes(48)) },
        mine,
      ],
      ok: true,
    },
    'slots above the bound of a header': {
      slots: (mine) => [...Array.from({ length: 4 }, () => ({ ...mine, type: 99, body: random.bytes(16_300) })), mine],
      ok: false,
    },
    'two passphrase slots': { slots: (mine) => [mine, passphraseSlot(17), passphraseSlot(17)], ok: false },
    'a passphrase slot of 2^14': { slots: (mine) => [mine, passphraseSlot(14)], ok: false },
    'a passphrase slot of 2^19': { slots: (mine) => [mine, passphraseSlot(19)], ok: false },
    'a policy that ends when it begins': { slots: (mine) => [mine, { ...mine, policy: policy(10, 10, 0) }], ok: false },
    'a policy whose offline use outlives it': { slots: (mine) => [mine, { ...mine, policy: policy(10, 20, 21) }], ok: false },
    'a policy beside an open slot': { slots: (mine) => [{ ...mine, policy: policy(10, 20, 20) }, mine], ok: true },
  };
  const helper = (change: Partial<Helper> = {}): Uint8Array => {
    const factor = {
      name: 'drive',
      required: true,
      salt: random.bytes(16),
      shares: [random.bytes(32), random.bytes(32)],
    } as const;
    const some = { saltsId: random.bytes(8), salt: random.bytes(32), threshold: 2, factors: [factor], tpm: new Uint8Array(0) };
    return encodeHelper({ ...some, ...change });
  };
  const hardwareSlot = (before: Uint8Array, after = 128): Slot => ({
    type: SLOT.hardware,
    flags: 0,
    keyId: random.bytes(8),
    body: concat(before, random.bytes(after)),
  });
  const passphraseSlot = (logN: number): Slot => ({
    type: SLOT.passphrase,
    flags: 0,
    keyId: new Uint8Array(8),
    body: concat(random.bytes(16), Uint8Array.of(logN), random.bytes(48)),
  });
  const policy = (notBefore: number, notAfter: number, offlineUntil: number) => ({
    notBefore,
    notAfter,
    offlineUntil,
    leaseId: new Uint8Array(16),
    deviceId: new Uint8Array(16),
  });
  it.for(Object.keys(slotCases))('with %s are judged alike by both', async (what) => {
    const container = good();
    const [mine] = parseHeader(container).slots;
    const one = slotCases[what];
    if (mine === undefined || one === undefined) throw new Error('no such case');
    const made = reclaim(container, dataKey, { slots: one.slots(mine) });
    if (one.ok) await bothAccept(made, what);
    else print(`strictness: ${what}: ${await bothRefuse(made, what)}`);
  });

  it('with any wrong length are refused by both, and quickly', async () => {
    const codes = new Codes();
    const container = good();
    for (const [at, value] of [
      [10, 10_000_000_000 % 2 ** 32],
      [10, 65_537],
      [10, 0],
      [14, 0],
      [14, 8193],
      [14, 0xffff_ffff],
      [18, 0],
      [18, 0xffff_ff00],
      [22, 1],
      [22, 72],
      [22, 219],
    ] as const) {
      const made = concat(container.slice(0, at), u32(value), container.slice(at + 4));
      codes.add(await bothRefuse(made, `${value} at ${at}`));
      codes.add(await bothRefuse(made.slice(0, 100), `${value} at ${at} of 100 bytes`));
    }
    for (const version of [0, 2, 65_535]) {
      codes.add(await bothRefuse(concat(container.slice(0, 8), u16(version), container.slice(10)), `version ${version}`));
    }
    codes.add(await bothRefuse(concat(ascii('\x89MGUARD\r\n'), container.slice(8)), 'another line end'));
    codes.add(await bothRefuse(new Uint8Array(0), 'nothing'));
    print(`strictness: ${codes.total} headers refused (${codes})`);
  });
});

describe('paths', () => {
  it('are judged alike by both', () => {
    const letters = [
      ...'aAbZ0._- /\\:~^é',
      '\u0301',
      '\u0000',
      '\u001f',
      '\u0085',
      '\u00a0',
      'ß',
      'İ',
      'ı',
      '\u212b',
      '가',
      '\u1100',
      '\u1161',
      '\u{1f9e0}',
      '\u0f73',
      '\u{1611e}',
    ];
    const words = [
      'con',
      'NUL',
      'aux.',
      'com1',
      'LPT¹',
      'com0',
      'conin$',
      'x'.repeat(255),
      'x'.repeat(256),
      'é'.repeat(128),
      '..',
      '.',
      'CLOCK$',
      'prn .txt',
      'com１',
    ];
    let accepted = 0;
    const rounds = scaled(20_000, 5000);
    for (let round = 0; round < rounds; round += 1) {
      const length = 1 + random.integer(6);
      const text = Array.from({ length }, () => (random.integer(5) === 0 ? random.pick(words) : random.pick(letters))).join('');
      const ours = refused(() => {
        call((native) => native.checkPath(text));
        return true;
      });
      const theirs = refused(() => {
        checkPath(text);
        return true;
      });
      expect(ours, `the SDK ${ours ? 'refuses' : 'accepts'} ${JSON.stringify(text)}, the reference does not`).toBe(theirs);
      if (!ours) accepted += 1;
    }
    print(`paths: ${rounds} judged alike, ${accepted} of them accepted`);
    expect(accepted).toBeGreaterThan(rounds / 20);
  });
});
