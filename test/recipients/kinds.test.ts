/** The table of kinds. If it and the addon's differ, a recipient is taken that nothing can seal to, or messages call it by a wrong name. */
import { describe, expect, it } from 'vitest';
import { DeviceKey, decrypt, encrypt, inspect, MasterKey, passphrase, rewrap } from '../../src/index.js';
import { call } from '../../src/native/index.js';
import { kinds } from '../../src/recipients/kinds.js';
import { resolveRecipients } from '../../src/recipients/resolve.js';
import { failureOf } from '../support/failures.js';

const word = await passphrase({ bytes: Buffer.from('a passphrase') });
const device = DeviceKey.generate();

/** Seals nothing: the recipient is refused before. */
const sealTo = (kind: string) => () =>
  call((native) =>
    native.seal({
      name: 'net',
      version: '1',
      format: 'onnx',
      created: '2026-01-01T00:00:00Z',
      inputs: [{ path: 'net.onnx', bytes: new Uint8Array(1) }],
      recipients: [{ kind, publicPart: new Uint8Array(1) }],
    }),
  );

describe('the table of kinds', () => {
  it('has the types of the format, each once', () => {
    expect(kinds.map(({ type }) => type)).toEqual(['x25519', 'master', 'passphrase', 'hardware']);
  });

  it.each(kinds)('the addon has the kind $type', async ({ type }) => {
    expect((await failureOf(sealTo(type))).message).not.toContain('no kind of recipient');
  });

  it('the addon refuses another kind by its name', async () => {
    expect(await failureOf(sealTo('x448'))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining("no kind of recipient 'x448'"),
    });
  });

  it.each([
    ['text', `${device.publicKey}`, 'x25519'],
    ['the public keys of a device', device.publicKey, 'x25519'],
    ['a device key', device, 'x25519'],
    ['a master key', MasterKey.generate(), 'master'],
    ['a passphrase', word, 'passphrase'],
  ])('%s makes a slot of its kind', async (_, recipient, type) => {
    const container = await encrypt(new Uint8Array(1000), { recipients: [recipient] });
    expect((await inspect(container)).slots.map((slot) => slot.type)).toEqual([type]);
  });
});

describe('a value of no kind', () => {
  it('is refused with the names of all', async () => {
    const error = await failureOf(() => resolveRecipients([5]));
    expect(error.message).toMatch(
      /^recipients\[0\]: wants mgx1:… or mgd1:… text, a device key, a master key, a passphrase or a machine file, not a value of type number/,
    );
  });

  it('is no identity either', async () => {
    const opening = () => rewrap(new Uint8Array(1), { identities: [5 as never], recipients: [device] });
    expect((await failureOf(opening)).message).toMatch(
      /^identities\[0\]: wants a device key, a master key, a passphrase or hardware\(\), not a value of type number/,
    );
  });
});

it('an identity that does not open is named by its kind, as the recipients are', async () => {
  const container = await encrypt(new Uint8Array(1000), { recipients: [MasterKey.generate(), word] });
  const error = await failureOf(() => decrypt(container, { identities: [device], unsigned: 'accept' }));
  expect(error).toMatchObject({ code: 'NO_MATCHING_IDENTITY' });
  expect(error.message).toMatch(/it is for a master key, a passphrase; given was a device key [0-9a-f]{16}/);
});
