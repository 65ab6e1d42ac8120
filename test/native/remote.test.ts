/**
 * The bytes that devices and servers sign and seal to each other: docs/server-protocol.md, computed a second time over
 * node:crypto and @hpke/core.
 */
import * as crypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { KeyHandle } from '../../src/native/binding.js';
import { call } from '../../src/native/index.js';
import { concat, same, utf8 } from '../reference/bytes.js';
import { keyFile } from '../reference/container.js';
import { gcmOpen, gcmSeal, hkdf, hkdfExpand, hmac, publicOf, sign, verify } from '../reference/primitives.js';
import { become } from '../support/bound.js';
import { codeOf } from '../support/failures.js';
import { type KnownKey, knownKeys, seed, x25519 } from '../support/known-keys.js';
import { useMachine } from '../support/machine-addon.js';
import { machineTree } from '../support/machine-tree.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

useMachine('/nowhere');
const folder = temporaryFolder('remote');
const random = seeded('remote');
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const [SERVER, CHALLENGE, SUBJECT] = [random.bytes(16), random.bytes(32), random.bytes(16)];
const none = new Uint8Array(0);
const label = (purpose: string, ...parts: Uint8Array[]): Uint8Array => concat(utf8(`model-guard/v1/${purpose}\0`), ...parts);

const make = knownKeys(folder, random);
let device: KnownKey;
let server: KnownKey;
let stranger: KnownKey;
let signing: KnownKey;
let master: KnownKey;
let keyString: KnownKey;
beforeAll(async () => {
  [device, server, stranger] = [await make('device'), await make('device'), await make('device')];
  [signing, master] = [await make('signing'), await make('master')];
  const raw = random.bytes(70);
  keyString = { raw, handle: (await call((native) => native.legacyKey({ bytes: raw }))).key };
});

const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
async function hpkeSeal(to: KnownKey, info: Uint8Array, aad: Uint8Array, plain: Uint8Array): Promise<Uint8Array> {
  const recipientPublicKey = await suite.kem.deserializePublicKey(buffer(x25519(to)));
  const sealed = await suite.seal({ recipientPublicKey, info: buffer(info) }, buffer(plain), buffer(aad));
  return concat(new Uint8Array(sealed.enc), new Uint8Array(sealed.ct));
}
async function hpkeOpen(by: KnownKey, info: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
  const recipientKey = await suite.kem.deserializePrivateKey(buffer(by.raw.slice(0, 32)));
  const enc = buffer(sealed.slice(0, 32));
  return new Uint8Array(await suite.open({ recipientKey, enc, info: buffer(info) }, buffer(sealed.slice(32)), buffer(aad)));
}
/** The same with one bit of each byte changed in turn, one byte less, one more, and nothing at all. */
function* damaged(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1) yield bytes.map((byte, i) => (i === at ? byte ^ (1 << (at % 7)) : byte));
  yield bytes.slice(0, -1);
  yield concat(bytes, Uint8Array.of(0));
  yield none;
}

describe('a signature', () => {
  it.for(['lease-request', 'statement', 'checkpoint'] as const)('for %s is Ed25519 over purpose and message', (purpose) => {
    const key = purpose === 'lease-request' ? device : signing;
    const message = random.bytes(random.integer(300));
    const signature = call((native) => native.sign(purpose, key.handle, message));
    expect(same(signature, sign(seed(key), label(purpose, message))), 'Ed25519 is deterministic').toBe(true);
    const pub = publicOf('ed25519', seed(key));
    const verifies = (p: typeof purpose | 'enrolment', k: Uint8Array, m: Uint8Array, s: Uint8Array): boolean =>
      call((native) => native.verifySignature(p, k, m, s));
    expect(verify(pub, label(purpose, message), signature)).toBe(true);
    expect(verifies(purpose, pub, message, signature)).toBe(true);
    expect(verifies('enrolment', pub, message, signature), 'for another purpose').toBe(false);
    expect(verifies(purpose, pub, concat(message, none, Uint8Array.of(0)), signature), 'of another message').toBe(false);
    expect(verifies(purpose, publicOf('ed25519', seed(stranger)), message, signature), 'by another key').toBe(false);
    for (const other of damaged(signature)) expect(verifies(purpose, pub, message, other)).toBe(false);
  });

  it('needs a key that signs, a purpose of the list, and is never for an enrolment', async () => {
    for (const { handle } of [master, keyString, device])
      expect(await codeOf(() => call((native) => native.sign('statement', handle, none)))).toBe('KEY_TYPE_WRONG');
    expect(await codeOf(() => call((native) => native.sign('lease-request', signing.handle, none)))).toBe('KEY_TYPE_WRONG');
    for (const purpose of ['enrolment', 'lease', '', 'publisher'])
      expect(await codeOf(() => call((native) => native.sign(purpose as 'statement', device.handle, none)))).toBe(
        'INVALID_ARGUMENT',
      );
    const short = random.bytes(31);
    expect(await codeOf(() => call((native) => native.verifySignature('statement', short, none, random.bytes(64))))).toBe(
      'INVALID_ARGUMENT',
    );
  });
});

describe('the proof of an enrolment', () => {
  const info = label('enrolment-nonce', SERVER);
  const message = random.bytes(112);
  const prove = (sealed: Uint8Array, key = device, id = SERVER, challenge = CHALLENGE): Uint8Array =>
    call((native) => native.proveEnrolment(key.handle, id, challenge, sealed, message));

  it('@hpke/core opens the nonce that is sealed, and the proof signs it', async () => {
    const { nonce, sealed } = call((native) => native.sealNonce(x25519(device), SERVER, CHALLENGE));
    expect(nonce.length).toBe(32);
    expect(same(await hpkeOpen(device, info, CHALLENGE, sealed), nonce)).toBe(true);
    expect(same(prove(sealed), sign(seed(device), label('enrolment', message, nonce)))).toBe(true);
    const pub = publicOf('ed25519', seed(device));
    expect(call((native) => native.verifySignature('enrolment', pub, concat(message, nonce), prove(sealed)))).toBe(true);
    expect(same(call((native) => native.sealNonce(x25519(device), SERVER, CHALLENGE)).nonce, nonce), 'each nonce is new').toBe(
      false,
    );
  });

  it('opens what @hpke/core sealed, and nothing that was sealed otherwise', async () => {
    const nonce = random.bytes(32);
    const sealed = await hpkeSeal(device, info, CHALLENGE, nonce);
    expect(same(prove(sealed), sign(seed(device), label('enrolment', message, nonce)))).toBe(true);
    for (const other of damaged(sealed)) expect(await codeOf(() => prove(other))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => prove(sealed, stranger))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => prove(sealed, device, random.bytes(16)))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => prove(sealed, device, SERVER, random.bytes(32)))).toBe('INTEGRITY_FAILED');
    const short = await hpkeSeal(device, info, CHALLENGE, random.bytes(31));
    expect(await codeOf(() => prove(short))).toBe('INTEGRITY_FAILED');
    for (const key of [signing, master]) expect(await codeOf(() => prove(sealed, key))).toBe('KEY_TYPE_WRONG');
    expect(await codeOf(() => prove(sealed, device, random.bytes(15)))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => prove(sealed, device, SERVER, none))).toBe('INVALID_ARGUMENT');
  });
});

describe('what a device keeps of a server', () => {
  it('is AES-256-GCM under a key of the private keys and the server id', async () => {
    const key = hkdf('sha384', device.raw, none, label('state', SERVER), 32);
    const open = (sealed: Uint8Array, by = device, id = SERVER): Uint8Array =>
      call((native) => native.openState(by.handle, id, sealed));
    for (const state of [none, utf8('{"models":{}}'), random.bytes(100_000)]) {
      const sealed = call((native) => native.sealState(device.handle, SERVER, state));
      expect(gcmOpen(key, sealed.slice(0, 12), none, sealed.slice(12))).toEqual(state);
      const nonce = random.bytes(12);
      expect(same(open(concat(nonce, gcmSeal(key, nonce, none, state))), state)).toBe(true);
      if (state.length < 100)
        for (const other of damaged(sealed)) expect(await codeOf(() => open(other))).toBe('INTEGRITY_FAILED');
      expect(await codeOf(() => open(sealed, stranger))).toBe('INTEGRITY_FAILED');
      expect(await codeOf(() => open(sealed, device, random.bytes(16)))).toBe('INTEGRITY_FAILED');
    }
    const large = new Uint8Array(16 * 2 ** 20 + 1);
    expect(await codeOf(() => call((native) => native.sealState(device.handle, SERVER, large)))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => call((native) => native.sealState(signing.handle, SERVER, none)))).toBe('KEY_TYPE_WRONG');
    expect(await codeOf(() => call((native) => native.sealState(device.handle, none, none)))).toBe('INVALID_ARGUMENT');
  });

  it('has an identity of its machine only where the key is sealed to one: the same from generating and from reading', async () => {
    expect(call((native) => native.machineIdentity(device.handle, SERVER))).toBeUndefined();
    expect(call((native) => native.machineIdentity(master.handle, SERVER))).toBeUndefined();
    await become(machineTree('laptop-two-gpus'));
    const file = path.join(folder, 'sealed.key');
    const made = await call((native) => native.generateSealedKey(file, { tpm: 'never' }));
    const { key } = await call((native) => native.readKeyFile(file));
    const identity = call((native) => native.machineIdentity(made.key, SERVER));
    expect(identity?.length).toBe(32);
    expect(call((native) => native.machineIdentity(key, SERVER))).toEqual(identity);
    expect(call((native) => native.machineIdentity(key, random.bytes(16)))).not.toEqual(identity);
    expect(await codeOf(() => call((native) => native.machineIdentity(key, none)))).toBe('INVALID_ARGUMENT');
    const plain = path.join(folder, 'plain.key');
    await call((native) => native.writeKeyFile(key, plain));
    expect(readFileSync(plain, 'utf8')).toMatch(/^model-guard-key v1 device plain\n[A-Za-z0-9_-]{86}\n$/);
    const { key: copied } = await call((native) => native.readKeyFile(plain));
    expect(
      call((native) => native.machineIdentity(copied, SERVER)),
      'the secret is not in a key file',
    ).toBeUndefined();
  });
});

/** `properties`, where reading the last of them takes the memory of `victim` away. */
function movingAway<T extends object>(properties: T, victim: Uint8Array<ArrayBuffer>): T {
  const [last = ''] = Object.keys(properties).slice(-1);
  const value: unknown = Reflect.get(properties, last);
  return Object.defineProperty({ ...properties }, last, {
    get: () => {
      structuredClone(victim.buffer, { transfer: [victim.buffer] });
      return value;
    },
  });
}

describe("an archive's fragment", () => {
  const NAME = 'earth/tiles';
  const info = label('fragment', SERVER, utf8(NAME));
  const parts = () => [[master, 1] as const, [keyString, 2] as const];
  const reseal = (sealed: Uint8Array, more: object = {}): Uint8Array =>
    call((native) =>
      native.resealFragment({
        key: server.handle,
        sealed,
        x25519: x25519(device),
        serverId: SERVER,
        name: NAME,
        challenge: CHALLENGE,
        ...more,
      }),
    );
  const open = (sealed: Uint8Array, by = device, id = SERVER, name = NAME, challenge = CHALLENGE): KeyHandle =>
    call((native) => native.openFragment(by.handle, sealed, id, name, challenge));

  it('is read after all properties: a getter that moves the memory of another one away gains nothing', async () => {
    const plain = concat(Uint8Array.of(1), master.raw);
    for (const order of [
      ['sealed', 'x25519', 'serverId', 'name', 'challenge'],
      ['challenge', 'name', 'serverId', 'x25519', 'sealed'],
    ]) {
      const sealed = Uint8Array.from(await hpkeSeal(server, info, none, plain));
      const request = { sealed, x25519: x25519(device), serverId: SERVER, name: NAME, challenge: Uint8Array.from(CHALLENGE) };
      const victim = order[0] === 'sealed' ? request.sealed : request.challenge;
      const ordered = Object.fromEntries(order.map((name) => [name, Reflect.get(request, name)]));
      const moving = movingAway({ key: server.handle, ...ordered }, victim) as typeof request & { key: KeyHandle };
      // The view would have to be taken before the getter ran for this to succeed.
      expect(await codeOf(() => call((native) => native.resealFragment(moving)))).toMatch(/INTEGRITY_FAILED|INVALID_ARGUMENT/);
      expect(victim.length).toBe(0);
    }
  });

  it('travels as HPKE of type and bytes, to the server and then to the device', async () => {
    for (const [fragment, type] of parts()) {
      const plain = concat(Uint8Array.of(type), fragment.raw);
      const sealed = call((native) => native.sealFragment(fragment.handle, x25519(server), SERVER, NAME));
      expect(same(await hpkeOpen(server, info, none, sealed), plain)).toBe(true);
      const given = reseal(await hpkeSeal(server, info, none, plain));
      expect(same(await hpkeOpen(device, info, CHALLENGE, given), plain)).toBe(true);
      const rotated = reseal(sealed, { x25519: x25519(stranger), challenge: undefined });
      expect(same(await hpkeOpen(stranger, info, none, rotated), plain)).toBe(true);
      const handle = open(await hpkeSeal(device, info, CHALLENGE, plain));
      expect(call((native) => native.keyType(handle))).toBe(type === 1 ? 'master' : 'legacy');
    }
  });

  it('opens on the device as the key that it is', async () => {
    const sealed = call((native) => native.sealFragment(master.handle, x25519(server), SERVER, NAME));
    const file = path.join(folder, 'fragment.key');
    await call((native) => native.writeKeyFile(open(reseal(sealed)), file));
    expect(readFileSync(file)).toEqual(Buffer.from(keyFile('master', master.raw)));
    const text = call((native) => native.sealFragment(keyString.handle, x25519(server), SERVER, NAME));
    const artifact = await call((native) => native.legacyEncrypt(utf8('tile'), open(reseal(text))));
    const key = crypto.createHash('sha256').update(keyString.raw).digest();
    const decipher = crypto.createDecipheriv('aes-256-cbc', key, artifact.slice(0, 16));
    expect(`${decipher.update(artifact.slice(16))}${decipher.final()}`).toBe('tile');
  });

  it('opens for nobody else, for no other name, server or challenge, and not changed', async () => {
    const sealed = call((native) => native.sealFragment(master.handle, x25519(server), SERVER, NAME));
    const given = reseal(sealed);
    for (const other of damaged(sealed)) expect(await codeOf(() => reseal(other))).toBe('INTEGRITY_FAILED');
    for (const other of damaged(given)) expect(await codeOf(() => open(other))).toBe('INTEGRITY_FAILED');
    for (const more of [{ name: 'earth' }, { name: '' }, { serverId: random.bytes(16) }, { key: device.handle }])
      expect(await codeOf(() => reseal(sealed, more))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => reseal(given, { key: device.handle })), 'what is for a challenge goes no further').toBe(
      'INTEGRITY_FAILED',
    );
    expect(await codeOf(() => open(given, stranger))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => open(given, device, random.bytes(16)))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => open(given, device, SERVER, 'earth'))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => open(given, device, SERVER, NAME, random.bytes(32)))).toBe('INTEGRITY_FAILED');
  });

  it('is a master key or a key string of the right length', async () => {
    const wrong = [
      [1, 31],
      [1, 33],
      [2, 0],
      [2, 4097],
      [0, 32],
      [3, 32],
    ] as const;
    for (const [type, length] of wrong) {
      const plain = concat(Uint8Array.of(type), random.bytes(length));
      const toServer = await hpkeSeal(server, info, none, plain);
      const toDevice = await hpkeSeal(device, info, CHALLENGE, plain);
      expect(await codeOf(() => reseal(toServer)), `type ${type}, ${length} bytes`).toBe('INTEGRITY_FAILED');
      expect(await codeOf(() => open(toDevice)), `type ${type}, ${length} bytes`).toBe('INTEGRITY_FAILED');
    }
    for (const length of [1, 4096]) open(await hpkeSeal(device, info, CHALLENGE, concat(Uint8Array.of(2), random.bytes(length))));
    for (const { handle } of [device, signing])
      expect(await codeOf(() => call((native) => native.sealFragment(handle, x25519(server), SERVER, NAME)))).toBe(
        'KEY_TYPE_WRONG',
      );
    const sealed = call((native) => native.sealFragment(master.handle, x25519(server), SERVER, NAME));
    expect(await codeOf(() => reseal(sealed, { key: signing.handle }))).toBe('KEY_TYPE_WRONG');
    for (const more of [{ x25519: none }, { serverId: none }, { challenge: none }])
      expect(await codeOf(() => reseal(sealed, more))).toBe('INVALID_ARGUMENT');
  });
});

describe('personal data', () => {
  const wrapKey = (): Uint8Array => hkdfExpand('sha384', master.raw, utf8('model-guard/v1/field-wrap'), 32);
  const subjectKey = (wrapped: Uint8Array): Uint8Array | undefined =>
    gcmOpen(wrapKey(), wrapped.slice(0, 12), SUBJECT, wrapped.slice(12));

  it('is boxed under a key of its subject, which is wrapped under the field key', async () => {
    const wrapped = call((native) => native.newSubjectKey(master.handle, SUBJECT));
    expect(wrapped.length).toBe(60);
    const key = subjectKey(wrapped);
    if (key === undefined) throw new Error('the wrapped key does not open');
    expect(same(subjectKey(call((native) => native.newSubjectKey(master.handle, SUBJECT))) ?? none, key)).toBe(false);
    const [aad, plain] = [random.bytes(8), utf8('{"email":"a@b.example"}')];
    const seal = (w: Uint8Array, s = SUBJECT): Uint8Array => call((native) => native.sealBox(master.handle, w, s, aad, plain));
    const open = (b: Uint8Array, w = wrapped, s = SUBJECT, a = aad, by = master): Uint8Array =>
      call((native) => native.openBox(by.handle, w, s, a, b));
    const box = seal(wrapped);
    expect(gcmOpen(key, box.slice(0, 12), aad, box.slice(12))).toEqual(plain);
    const nonce = random.bytes(12);
    expect(open(concat(nonce, gcmSeal(key, nonce, aad, plain)))).toEqual(plain);
    expect(open(concat(nonce, gcmSeal(key, nonce, aad, none)))).toEqual(none);
    for (const other of damaged(box)) expect(await codeOf(() => open(other))).toBe('INTEGRITY_FAILED');
    for (const other of damaged(wrapped)) {
      expect(await codeOf(() => open(box, other))).toBe('INTEGRITY_FAILED');
      expect(await codeOf(() => seal(other))).toBe('INTEGRITY_FAILED');
    }
    expect(await codeOf(() => open(box, wrapped, random.bytes(16)))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => open(box, wrapped, SUBJECT, none))).toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => open(box, wrapped, SUBJECT, aad, signing))).toBe('KEY_TYPE_WRONG');
    expect(await codeOf(() => seal(wrapped, none))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => call((native) => native.newSubjectKey(master.handle, random.bytes(17))))).toBe('INVALID_ARGUMENT');
  });

  it('is looked up by HMAC-SHA-256 under a key of the use', async () => {
    const message = utf8('email\0a@b.example');
    for (const use of ['index', 'url'] as const) {
      const key = hkdfExpand('sha384', master.raw, utf8(`model-guard/v1/field-mac/${use}`), 32);
      expect(
        same(
          call((native) => native.fieldMac(master.handle, use, message)),
          hmac('sha256', key, message),
        ),
      ).toBe(true);
    }
    expect(await codeOf(() => call((native) => native.fieldMac(device.handle, 'url', message)))).toBe('KEY_TYPE_WRONG');
    expect(await codeOf(() => call((native) => native.fieldMac(master.handle, 'other' as 'url', message)))).toBe(
      'INVALID_ARGUMENT',
    );
  });
});
