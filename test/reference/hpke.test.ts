/** HPKE against an implementation by others, both ways: the primitive, and the slots of whole containers. */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../src/index.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';
import { loadPrimitives } from '../support/test-addon.js';
import { concat, same } from './bytes.js';
import { openContainer, sealContainer } from './container.js';
import { coreHash, keyId } from './core.js';
import { parts, reclaim } from './forge.js';
import { parseHeader, SLOT, slotAad } from './header.js';
import { hpkeOpen, hpkeSeal, publicOf } from './primitives.js';
import { slotInfo } from './slots.js';

const ROUNDS = 50;
const folder = temporaryFolder('hpke');
const random = seeded('HPKE');
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
let keys: Keyring;
beforeAll(async () => {
  keys = await makeKeyring(folder, random);
});

const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

async function theirSeal(recipient: Uint8Array, info: Uint8Array, aad: Uint8Array, plain: Uint8Array) {
  const recipientPublicKey = await suite.kem.deserializePublicKey(buffer(recipient));
  const sealed = await suite.seal({ recipientPublicKey, info: buffer(info) }, buffer(plain), buffer(aad));
  return { enc: new Uint8Array(sealed.enc), ct: new Uint8Array(sealed.ct) };
}

async function theirOpen(enc: Uint8Array, scalar: Uint8Array, info: Uint8Array, aad: Uint8Array, ct: Uint8Array) {
  const recipientKey = await suite.kem.deserializePrivateKey(buffer(scalar));
  return new Uint8Array(await suite.open({ recipientKey, enc: buffer(enc), info: buffer(info) }, buffer(ct), buffer(aad)));
}

interface Case {
  readonly scalar: Uint8Array;
  readonly recipient: Uint8Array;
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
  readonly plain: Uint8Array;
}

function someCase(): Case {
  const scalar = random.bytes(32);
  const [info, aad, plain] = [
    random.bytes(random.integer(100)),
    random.bytes(random.integer(100)),
    random.bytes(random.integer(200)),
  ];
  return { scalar, recipient: publicOf('x25519', scalar), info, aad, plain };
}

describe('HPKE with @hpke/core', () => {
  it('the addon opens what @hpke/core seals, and the other way round', async () => {
    const addon = loadPrimitives();
    for (let round = 0; round < ROUNDS; round += 1) {
      const { scalar, recipient, info, aad, plain } = someCase();
      const theirs = await theirSeal(recipient, info, aad, plain);
      const opened = addon.hpkeOpen(theirs.enc, scalar, info, aad, theirs.ct);
      expect(opened !== null && same(opened, plain), 'the addon cannot open what @hpke/core sealed').toBe(true);
      const ours = addon.hpkeSeal(recipient, info, aad, plain);
      const back = await theirOpen(ours.slice(0, 32), scalar, info, aad, ours.slice(32));
      expect(same(back, plain), '@hpke/core cannot open what the addon sealed').toBe(true);
      const other = concat(aad, Uint8Array.of(1));
      expect(addon.hpkeOpen(theirs.enc, scalar, info, other, theirs.ct), 'another aad must not open').toBeNull();
      expect(addon.hpkeOpen(theirs.enc, scalar, other, aad, theirs.ct), 'another info must not open').toBeNull();
    }
    print(`HPKE: the addon and @hpke/core opened ${ROUNDS} messages of each other`);
  });

  it('the reference agrees with @hpke/core', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { scalar, recipient, info, aad, plain } = someCase();
      const theirs = await theirSeal(recipient, info, aad, plain);
      expect(hpkeOpen(theirs.enc, scalar, info, aad, theirs.ct)).toEqual(plain);
      const ours = hpkeSeal(recipient, info, aad, plain);
      expect(await theirOpen(ours.enc, scalar, info, aad, ours.sealed)).toEqual(plain);
    }
  });

  it('@hpke/core opens the slot of a container that the SDK made', async () => {
    const container = await encrypt(random.bytes(40_000), { recipients: [keys.device] });
    const header = parseHeader(container);
    const [slot] = header.slots;
    if (slot?.type !== SLOT.x25519) throw new Error('the container has no x25519 slot');
    const info = slotInfo('x25519', coreHash(header.core));
    const scalar = keys.raw.device.slice(0, 32);
    const dataKey = await theirOpen(slot.body.slice(0, 32), scalar, info, slotAad(slot, 80), slot.body.slice(32));
    const { dataKey: expected } = openContainer(container, [keys.identities.device]);
    expect(same(dataKey, expected), 'the slot does not hold the data key').toBe(true);
  });

  it('the SDK opens a container whose slot @hpke/core made', async () => {
    const plain = random.bytes(40_000);
    const sealed = sealContainer(new Map([['net', plain]]), { name: 'net', version: '1', recipients: [keys.recipients.master] });
    const { dataKey } = openContainer(sealed, [keys.identities.master]);
    const hash = coreHash(parts(sealed).header.core);
    const recipient = publicOf('x25519', keys.raw.device.slice(0, 32));
    const head = { type: SLOT.x25519, flags: 0, keyId: keyId(recipient), policy: undefined };
    const { enc, ct } = await theirSeal(recipient, slotInfo('x25519', hash), slotAad(head, 80), dataKey);
    const container = reclaim(sealed, dataKey, { slots: [{ ...head, body: concat(enc, ct) }] });
    using opened = await decrypt(container, { identities: [keys.device], unsigned: 'accept' });
    expect(same(opened.bytes, plain), 'the SDK returned other bytes').toBe(true);
  });
});
