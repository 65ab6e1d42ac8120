/**
 * The big part, the master key and every device key open nothing without the small part.
 *
 * Why it cannot be otherwise: the data key is random and lies, wrapped, only in the slots; the salt that the payload key
 * needs as well lies beside them. Both are in the small part. The big part is bytes of chunks, ciphertext and tags under a
 * key that no long-term key leads to.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, memoryStore, merge, protect } from '../../src/index.js';
import { concat, same } from '../reference/bytes.js';
import { openContainer, sealMessage } from '../reference/container.js';
import { coreHash } from '../reference/core.js';
import { encodeSlot, parseHeader } from '../reference/header.js';
import { CHUNK, chunkNonce, deriveKeys, openPayload, payloadContext, SEALED } from '../reference/payload.js';
import { gcmOpen, gcmSeal, random as randomBytes } from '../reference/primitives.js';
import { containerSecrets } from '../reference/secrets.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { Needles } from '../support/needles.js';
import { print } from '../support/print.js';
import { seeded } from '../support/seed.js';
import { refusal, takeParts } from '../support/table-store.js';
import { temporaryFolder } from '../support/temp.js';
import { refused } from '../support/wycheproof.js';

const folder = temporaryFolder('big-part');
const random = seeded('big part');
const none = new Uint8Array(0);
let keys: Keyring;
let small: Uint8Array;
let big: Uint8Array;
let container: Uint8Array;

beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  const source = path.join(folder, 'model.bin');
  writeFileSync(source, random.bytes(200_000));
  const to = memoryStore();
  const ref = { name: 'net', version: '1' };
  const recipients = [keys.master, keys.device, keys.passphrase];
  const { payloadId } = await protect(source, { ...ref, to, recipients, signer: keys.signing });
  const offset = (await to.getSmall(ref)).length - parseHeader(await to.getSmall(ref)).length;
  ({ small, big } = await takeParts(to, ref, `${payloadId}-${offset}`));
  container = concat(small, big);
});

describe('a big part without its small part', () => {
  it('consists of the bytes of chunks and of nothing else', () => {
    const { header, dataKey, message } = openContainer(container, [keys.identities.master]);
    const offset = small.length - header.length;
    expect(offset, 'salt and commitment end at 56').toBeGreaterThanOrEqual(56);

    // The same chunks, made again by the reference from the plaintext: every byte of the big part is one of theirs.
    const salt = container.slice(header.length, header.length + 24);
    const payloadKeys = deriveKeys(dataKey, salt, payloadContext(coreHash(header.core)));
    const chunks: Uint8Array[] = [];
    for (let k = 0; k * CHUNK <= message.length; k += 1) {
      const plain = message.subarray(k * CHUNK, (k + 1) * CHUNK);
      chunks.push(gcmSeal(payloadKeys.key, chunkNonce(payloadKeys.baseNonce, k), none, plain));
    }
    expect(same(concat(...chunks).subarray(offset - 56), big), 'the big part is more, or less, than chunk bytes').toBe(true);
    print(`big part: ${big.length} bytes, all of them bytes of ${chunks.length} chunks`);
  });

  it('holds no part of a key, of the salt, of the commitment or of the header', () => {
    const header = parseHeader(container);
    const needles = new Needles();
    for (const [label, secret] of containerSecrets(container, keys.raw)) needles.addSecret(label, secret);
    needles.addRaw('salt', container.slice(header.length, header.length + 24));
    needles.addRaw('commitment', container.slice(header.length + 24, header.length + 56));
    needles.addRaw('core', header.core).addRaw('mac', header.mac).addRaw('digest', header.digest);
    for (const [index, slot] of header.slots.entries()) needles.addRaw(`slot ${index}`, encodeSlot(slot).slice(16));
    for (const signature of header.signatures) needles.addRaw('signature', signature.bytes);
    const found = new Set<string>();
    needles.scan(big, (label) => found.add(label));
    expect([...found], 'the big part holds what only the small part may hold').toEqual([]);
    needles.scan(small, (label) => found.add(label));
    expect([...found], 'the search itself does not work').toEqual(
      expect.arrayContaining(['salt', 'commitment', 'core', 'slot 0']),
    );
  });

  it('is no container to any key', async () => {
    const identities = [keys.master, keys.device, keys.passphrase];
    for (const bytes of [big, big.slice(0, SEALED), big.slice(SEALED)]) {
      expect(await refusal(() => decrypt(bytes, { identities, unsigned: 'accept' }))).toBe('NOT_A_CONTAINER');
    }
  });

  it('opens under no small part that somebody makes who has every long-term key', async () => {
    // The forger knows name, version and size, and may write slots for keys he holds; the data key and the salt he
    // cannot know, so he takes his own.
    const { message } = openContainer(container, [keys.identities.master]);
    const recipients = [keys.recipients.master, keys.recipients.device];
    const identities = [keys.master, keys.device];
    for (const dataKey of [randomBytes(32), keys.raw.master, keys.raw.device.slice(0, 32), keys.raw.signing]) {
      const own = sealMessage(new Uint8Array(message.length), {
        name: 'net',
        version: '1',
        recipients,
        dataKey,
        signer: keys.raw.signing,
      });
      const cut = own.length - big.length;
      const forged = concat(own.slice(0, cut), big);
      expect(await refusal(() => decrypt(forged, { identities, unsigned: 'accept' }))).toBe('INTEGRITY_FAILED');
      expect(await refusal(async () => merge(own.slice(0, cut), big))).toBe('PARTS_MISMATCH');
    }
  });

  it('stays closed even to the data key, for want of the salt', () => {
    const { header, dataKey } = openContainer(container, [keys.identities.master]);
    const context = payloadContext(coreHash(header.core));
    const payload = container.slice(header.length);
    expect(
      refused(() => openPayload(dataKey, context, payload)),
      'with the salt it must open',
    ).toBe(false);
    const first = big.slice(SEALED - (small.length - header.length - 56), 2 * SEALED - (small.length - header.length - 56));
    const right = deriveKeys(dataKey, payload.slice(0, 24), context);
    expect(gcmOpen(right.key, chunkNonce(right.baseNonce, 1), none, first), 'chunk 1 is not where it must be').toBeDefined();
    const wrong = deriveKeys(dataKey, randomBytes(24), context);
    expect(gcmOpen(wrong.key, chunkNonce(wrong.baseNonce, 1), none, first)).toBeUndefined();
  });

  it('of the same model, protected again for the same keys, has nothing in common with the first', async () => {
    const source = path.join(folder, 'model.bin');
    const to = memoryStore();
    const ref = { name: 'net', version: '1' };
    const { payloadId } = await protect(source, { ...ref, to, recipients: [keys.master], split: { maxBytes: 0 } });
    const again = await takeParts(to, ref, `${payloadId}-56`);
    const needles = new Needles();
    for (let at = 0; at + 32 <= big.length; at += 64) needles.addRaw('ciphertext', big.slice(at, at + 32));
    let common = 0;
    needles.scan(again.big, () => {
      common += 1;
    });
    expect(common, 'two encryptions share ciphertext').toBe(0);
    expect(await refusal(async () => merge(again.small, big))).toBe('PARTS_MISMATCH');
  });
});
