/**
 * The reference's machines, checked without the addon: known answers worked out by hand or by others, every rule of the parsers
 * broken once, and which sets of factors open. Only then may it judge the SDK.
 */
import { DhkemX25519HkdfSha256 } from '@hpke/core';
import { describe, expect, it } from 'vitest';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { refused } from '../support/wycheproof.js';
import { ascii, concat, same, unhex, utf8 } from './bytes.js';
import { openContainer, sealContainer } from './container.js';
import { keyId } from './core.js';
import { alter, parts, reclaim } from './forge.js';
import { parseHeader, SLOT } from './header.js';
import { FACTORS, type Helper, parseHelper } from './helper.js';
import { DEVICE_KEY, MACHINE_FILE, SEALED_KEY, SECRET, VALUES } from './machine-vector.js';
import {
  type BindOptions,
  bind,
  encodeBinding,
  type FactorValues,
  type MachineFile,
  open,
  openDeviceKey,
  openings,
  openWith,
  parseMachineFile,
  publicKeyOf,
  sealDeviceKey,
  writeMachineFile,
} from './machines.js';
import { deriveKeyPair, hkdfExpand, publicOf } from './primitives.js';
import { DEFAULT_PEPPER, toBase64url } from './salts.js';
import { pick, quick, quickBind, SERVER, tpmBlob } from './sample-machine.js';

const random = seeded('the reference and its machines');
const MINUTES = 300_000;

const quickly = ({ factors }: Helper, values: FactorValues) =>
  new Map(
    factors.flatMap(({ name, salt }) => (values[name] === undefined ? [] : [[name, quick(name, values[name], salt)] as const])),
  );

/** The first two shares without their masks, as whoever guesses would compute them: section 12, written out once more. */
function unmaskFirst({ factors }: Helper, stretched: ReturnType<typeof quickly>, pepper: Uint8Array): Uint8Array[] {
  const required = factors.filter((factor) => factor.required).map(({ name }) => stretched.get(name) ?? new Uint8Array(0));
  const [{ name = 'cpu', shares = [] } = {}] = factors;
  const prk = stretched.get(name) ?? new Uint8Array(0);
  return shares.slice(0, 2).map((share, at) => {
    const mask = hkdfExpand('sha384', prk, concat(ascii('share'), Uint8Array.of(at + 1), ...required, pepper), 32);
    return share.map((byte, index) => byte ^ (mask[index] ?? 0));
  });
}

const subsets = <Item>(items: readonly Item[]): Item[][] =>
  Array.from({ length: 2 ** items.length }, (_, bits) => items.filter((_item, at) => (bits >> at) & 1));

describe('the key pair of a secret', () => {
  it('is that of RFC 9180, appendix A.1.1', () => {
    const pair = deriveKeyPair(unhex('7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234'));
    expect(pair.privateKey).toEqual(unhex('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736'));
    expect(pair.publicKey).toEqual(unhex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'));
  });

  it('is that of @hpke/core', async () => {
    const kem = new DhkemX25519HkdfSha256();
    for (let round = 0; round < 10; round += 1) {
      const secret = random.bytes(32);
      const { publicKey } = await kem.deriveKeyPair(Uint8Array.from(secret).buffer);
      expect(publicKeyOf(secret)).toEqual(new Uint8Array(await kem.serializePublicKey(publicKey)));
    }
  });
});

describe('a binding', () => {
  it('opens on its machine, with scrypt and all', () => {
    const bound = bind(pick(['cpu', 'memory', 'drive']), { threshold: 2 });
    expect(open(bound, { values: SERVER })).toEqual(bound.secret);
    expect(open(bound, { values: { ...SERVER, drive: 'another' } })).toEqual(bound.secret);
    expect(open(bound, { values: { ...SERVER, drive: 'another', memory: '8192 MiB' } })).toBeUndefined();
    expect(open(bound, { values: { cpu: 'another' } })).toBeUndefined();
    expect(open(bound, { values: SERVER, pepper: random.bytes(32) })).toBeUndefined();
  });

  it('opens with exactly the sets of factors that its policy allows', { timeout: MINUTES }, () => {
    let [opened, shut] = [0, 0];
    for (let round = 0; round < scaled(40, 12); round += 1) {
      const names = random.shuffle(FACTORS).slice(0, 1 + random.integer(FACTORS.length));
      const weights = Object.fromEntries(names.map((name) => [name, random.pick([1, 1, 1, 2, 3, 16])]));
      const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
      const required = names.filter(() => random.integer(4) === 0);
      const threshold = 1 + random.integer(total);
      const bound = quickBind(pick(names), { threshold, required, weights });
      for (const right of subsets(names)) {
        const allowed =
          required.every((name) => right.includes(name)) &&
          right.reduce((sum, name) => sum + (weights[name] ?? 0), 0) >= threshold;
        const changed = Object.fromEntries(names.map((name) => [name, right.includes(name) ? SERVER[name] : 'another']));
        // The others are another machine's, or cannot be read at all.
        for (const values of [changed, pick(right)]) {
          const stretched = quickly(bound.helper, values);
          const found = openings(bound.helper)
            .map((set) => openWith(set, bound, { stretched }))
            .find((secret) => secret !== undefined);
          expect(found, `${right.join()} of ${names.join()}, ${threshold} of ${total}, ${required.join()} required`).toEqual(
            allowed ? bound.secret : undefined,
          );
        }
        if (allowed) opened += 1;
        else shut += 1;
      }
    }
    expect(Math.min(opened, shut), 'this seed proves nothing').toBeGreaterThan(0);
  });

  it('tries the smallest sets, and never more than 256', () => {
    const names = (helper: Helper): string[] => openings(helper).map((set) => set.map(({ name }) => name).join());
    const bindAll = (options: BindOptions): Helper => quickBind(pick(['cpu', 'gpu', 'memory', 'drive']), options).helper;
    expect(names(bindAll({ threshold: 3, required: ['drive'] })).sort()).toEqual([
      'cpu,gpu,drive',
      'cpu,memory,drive',
      'gpu,memory,drive',
    ]);
    expect(names(bindAll({ threshold: 2, weights: { drive: 2 } }))[0]).toBe('drive');
    expect(names(bindAll({ threshold: 1, required: ['cpu', 'drive'] }))).toEqual(['cpu,drive']);
    expect(names(bindAll({ threshold: 4 }))).toEqual(['cpu,gpu,memory,drive']);
    for (let threshold = 1; threshold <= 6; threshold += 1)
      expect(openings(quickBind(SERVER, { threshold }).helper).length).toBeLessThanOrEqual(256);
  });

  it('needs the TPM value wherever a TPM takes part', () => {
    const value = random.bytes(32);
    const bound = bind(pick(['cpu']), { threshold: 1, tpm: { blob: tpmBlob(random), value } });
    expect(open(bound, { values: SERVER, tpmValue: value })).toEqual(bound.secret);
    expect(open(bound, { values: SERVER, tpmValue: random.bytes(32) })).toBeUndefined();
    expect(open(bound, { values: SERVER })).toBeUndefined();
  });

  it('stores shares that show no fit before everything an opening needs is known', () => {
    // One factor of weight 3, threshold 1: its three shares are equal, so that unmasking them is a test of a guess. It must need the
    // required factor and the pepper as well, else each could be guessed alone.
    const values = pick(['cpu', 'drive']);
    const options: BindOptions = { threshold: 1, required: ['drive'], weights: { cpu: 3 } };
    const { helper } = quickBind(values, options);
    const fits = (guess: FactorValues, pepper = DEFAULT_PEPPER): boolean => {
      const stretched = quickly(helper, guess);
      const [first, second] = unmaskFirst(helper, stretched, pepper);
      return first !== undefined && second !== undefined && same(first, second);
    };
    expect(fits(values)).toBe(true);
    expect(fits({ ...values, drive: 'another' })).toBe(false);
    expect(fits(values, random.bytes(32))).toBe(false);
  });

  it('does not open when any part of what is stored was changed', () => {
    const bound = quickBind(pick(['cpu', 'drive']), { threshold: 2 });
    const secrets = { stretched: quickly(bound.helper, SERVER) };
    const before = encodeBinding(bound);
    const opens = (bytes: Uint8Array): boolean => {
      const helper = parseHelper(bytes.slice(0, -48));
      const set = openings(helper)[0];
      return set !== undefined && openWith(set, { helper, box: bytes.slice(-48) }, secrets) !== undefined;
    };
    expect(opens(before)).toBe(true);
    for (let at = 0; at < before.length; at += 1) {
      const changed = before.map((byte, index) => (index === at ? byte ^ random.mask() : byte));
      expect(
        refused(() => opens(changed) || undefined),
        `byte ${at}`,
      ).toBe(true);
    }
  });
});

describe('a machine file', () => {
  const make = (options: BindOptions = { threshold: 2 }): MachineFile => {
    const { helper, box, secret } = quickBind(pick(['cpu', 'gpu', 'drive']), options);
    return { helper, box, publicKey: publicKeyOf(secret) };
  };
  const file = make();
  const text = Buffer.from(writeMachineFile(file)).toString('utf8');
  const parseText = (changed: string): MachineFile => parseMachineFile(utf8(changed));

  it('comes back as it was written', () => {
    expect(parseText(text)).toEqual(file);
    expect(Object.keys(JSON.parse(text))).toEqual(['box', 'checksum', 'helper', 'publicKey', 'version']);
  });

  it('of a third implementation opens', () => {
    const parsed = parseText(MACHINE_FILE);
    expect(open(parsed, { values: VALUES })).toEqual(unhex(SECRET));
    expect(open(parsed, { values: { ...VALUES, memory: '32768 MiB' } })).toEqual(unhex(SECRET));
    expect(open(parsed, { values: { ...VALUES, drive: 'another' } })).toBeUndefined();
    expect(publicKeyOf(unhex(SECRET))).toEqual(parsed.publicKey);
    expect(Buffer.from(writeMachineFile(parsed)).toString('utf8')).toBe(MACHINE_FILE);
  });

  it('is refused unless it stands exactly as it was written', () => {
    const box = toBase64url(file.box);
    const changes: Readonly<Record<string, string>> = {
      nothing: '',
      'no last line end': text.slice(0, -1),
      'two line ends': `${text}\n`,
      'a carriage return': text.replace('\n', '\r\n'),
      'a space': text.replace(':', ': '),
      'a byte order mark': `\ufeff${text}`,
      'members in another order': `{"version":1,${text.slice(1, text.indexOf(',"version"'))}}\n`,
      'a member too many': text.replace('{', '{"a":1,'),
      'a member too few': text.replace(/"checksum":"[^"]*",/, ''),
      'a member twice': text.replace('{', `{"box":"${box}",`),
      'padding in base64': text.replace(box, `${box}=`),
      'a box of another length': text.replace(box, toBase64url(file.box, Uint8Array.of(0, 0, 0))),
      'a checksum in capitals': text.replace(/"checksum":"[^"]*"/, (found) =>
        found.toUpperCase().replace('CHECKSUM', 'checksum'),
      ),
      'another checksum': text.replace(/"checksum":"[^"]*"/, '"checksum":"0011223344556677"'),
      'a device as public key': text.replace('mgx1:', 'mgd1:'),
      'no prefix of the public key': text.replace('mgx1:', ''),
      'version 0': text.replace('"version":1', '"version":0'),
      'version 2': text.replace('"version":1', '"version":2'),
      'a version in quotes': text.replace('"version":1', '"version":"1"'),
    };
    for (const [what, changed] of Object.entries(changes)) {
      expect(changed, what).not.toBe(text);
      expect(
        refused(() => parseText(changed)),
        what,
      ).toBe(true);
    }
  });

  it('is refused after a change of any byte, and when cut anywhere', () => {
    const bytes = utf8(text);
    for (let at = 0; at < bytes.length; at += 1) {
      expect(
        refused(() => parseMachineFile(bytes.slice(0, at))),
        `cut at ${at}`,
      ).toBe(true);
      const changed = bytes.map((byte, index) => (index === at ? byte ^ random.mask() : byte));
      expect(
        refused(() => parseMachineFile(changed)),
        `byte ${at}`,
      ).toBe(true);
    }
  });
});

describe('a hardware slot', () => {
  const bound = bind(pick(['cpu', 'drive']), { threshold: 2 });
  const machine: MachineFile = { ...bound, publicKey: publicKeyOf(bound.secret) };
  const files = new Map([['net.bin', random.bytes(1000)]]);
  const container = sealContainer(files, { name: 'net', version: '1', recipients: [{ machine }], dataKey: random.bytes(32) });
  const { header } = parts(container);
  const [slot] = header.slots;
  if (slot === undefined) throw new Error('one slot');
  const identity = { machine: { values: SERVER } };
  const opens = (changed: Uint8Array): boolean => !refused(() => openContainer(changed, [identity]));

  it('opens on its machine and on no other', () => {
    expect(slot.type).toBe(SLOT.hardware);
    expect(slot.keyId).toEqual(keyId(machine.publicKey));
    const opened = openContainer(container, [identity]);
    expect([...opened.files]).toEqual([...files]);
    expect(refused(() => openContainer(container, [{ machine: { values: { ...SERVER, cpu: 'another' } } }]))).toBe(true);
    expect(refused(() => openContainer(container, [{ machine: { values: SERVER, pepper: random.bytes(32) } }]))).toBe(true);
    expect(refused(() => openContainer(container, [{ x25519: random.bytes(32) }]))).toBe(true);
  });

  it('whose helper data is malformed, or whose body is longer or shorter, makes a container invalid', () => {
    const { dataKey } = openContainer(container, [identity]);
    const { body } = slot;
    const bodies: Readonly<Record<string, Uint8Array>> = {
      'a byte more': concat(body, Uint8Array.of(0)),
      'a byte less': body.slice(0, -1),
      'a threshold of 0': body.map((byte, at) => (at === 40 ? 0 : byte)),
      'no helper data': body.slice(-128),
      nothing: new Uint8Array(0),
    };
    for (const [what, changed] of Object.entries(bodies)) {
      const made = reclaim(container, dataKey, { slots: [{ ...slot, body: changed }] });
      expect(
        refused(() => parseHeader(made)),
        what,
      ).toBe(true);
    }
  });

  it('is passed over for another key id, and its mac guards the rest', () => {
    expect(opens(alter(container, { slots: [{ ...slot, keyId: keyId(publicOf('x25519', random.bytes(32))) }] }))).toBe(false);
    const at = slot.body.length - 128;
    for (const changed of [0, 45, at, at + 48, at + 80])
      expect(
        opens(alter(container, { slots: [{ ...slot, body: slot.body.map((byte, i) => (i === changed ? byte ^ 1 : byte)) }] })),
        `byte ${changed} of the body`,
      ).toBe(false);
  });
});

describe('a sealed device key', () => {
  const device = random.bytes(64);
  const bound = bind(pick(['cpu', 'memory', 'drive']), { threshold: 2 });
  const file = sealDeviceKey(device, bound);
  const text = Buffer.from(file).toString('latin1');

  it('opens on its machine and on no other', () => {
    expect(text).toMatch(/^model-guard-key v1 device sealed\n[A-Za-z0-9_-]+\n$/);
    expect(openDeviceKey(file, { values: { ...SERVER, drive: 'another' } })).toEqual(device);
    expect(openDeviceKey(file, { values: { ...SERVER, drive: 'another', cpu: 'another' } })).toBeUndefined();
    expect(openDeviceKey(file, { values: SERVER, pepper: random.bytes(32) })).toBeUndefined();
  });

  it('of a third implementation opens', () => {
    expect(openDeviceKey(ascii(SEALED_KEY), { values: { cpu: VALUES.cpu, drive: VALUES.drive } })).toEqual(unhex(DEVICE_KEY));
    expect(openDeviceKey(ascii(SEALED_KEY), { values: { cpu: VALUES.cpu } })).toBeUndefined();
  });

  it('is refused when it is cut, of another type, or another helper stands in it', () => {
    const bytes = Buffer.from(text.split('\n')[1] ?? '', 'base64url');
    const again = (body: Uint8Array): Uint8Array => ascii(`model-guard-key v1 device sealed\n${toBase64url(body)}\n`);
    const identity = { values: SERVER };
    expect(again(bytes)).toEqual(file);
    for (const [what, changed] of Object.entries({
      'a byte less': again(bytes.subarray(0, -1)),
      'a byte more': again(concat(bytes, Uint8Array.of(0))),
      'no line end': file.slice(0, -1),
      'a third line': concat(file, ascii('\n')),
      master: ascii(text.replace('device', 'master')),
      plain: ascii(text.replace('sealed', 'plain')),
      'another tag': again(bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte))),
      'the key sealed with another S': again(concat(encodeBinding(bind(pick(['cpu']), { threshold: 1 })), bytes.subarray(-80))),
    }))
      expect(
        refused(() => openDeviceKey(changed, identity)),
        what,
      ).toBe(true);
  });
});
