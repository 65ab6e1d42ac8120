/**
 * Secrets are bytes from a file or the environment, and production refuses those that can be guessed. If these fail, a key of
 * random bytes is changed to a known one, or a server signs with `aaaa…`.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { weaknessOfKey, weaknessOfPassword } from '../../src/base/secret-strength.js';
import { demandKey, findKey, findSecret, findText } from '../../src/base/secrets.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-secrets-'));
});
afterEach(() => rm(folder, { recursive: true }));

const place = (production = false) => ({ secretsFolder: folder, production });
const write = (name: string, bytes: Uint8Array | string) => writeFile(join(folder, `model_guard_${name}`), bytes);

describe('a secret', () => {
  it('is the file, else the variable, else none', async () => {
    expect(await findText(place(), 'a', {})).toBeUndefined();
    expect(await findText(place(), 'a', { MODEL_GUARD_A: 'from the environment' })).toBe('from the environment');
    await write('a', 'from the file\n');
    expect(await findText(place(), 'a', { MODEL_GUARD_A: 'from the environment' })).toBe('from the file');
  });

  it('is every byte of a file', async () => {
    // No text: the line feed at the end is one of the key's bytes.
    for (const last of [0x00, 0x0a, 0x0d, 0xff]) {
      const bytes = Buffer.concat([Buffer.from([0xff, 0xfe]), randomBytes(32), Buffer.from([last])]);
      await write('b', bytes);
      expect(await findSecret(place(), 'b', {})).toEqual(new Uint8Array(bytes));
    }
    const control = Buffer.from('0123\u0001\n');
    await write('b', control);
    expect(await findSecret(place(), 'b', {})).toEqual(new Uint8Array(control));
  });

  it.each([
    [' a b \n\n', ' a b \n'],
    ['a\r\n', 'a'],
    ['a', 'a'],
    ['ä\n', 'ä'],
  ])('of text is without one line end: %j', async (written, meant) => {
    await write('c', written);
    expect(await findText(place(), 'c', {})).toBe(meant);
  });

  it('keeps bytes apart that are no text', async () => {
    const [one, other] = [Buffer.alloc(32, 0x80), Buffer.alloc(32, 0x81)];
    await write('one', one);
    await write('other', other);
    expect(await findSecret(place(), 'one', {})).not.toEqual(await findSecret(place(), 'other', {}));
    // Eleven bytes that are not UTF-8 are 33 bytes of replacement characters.
    await write('token_secret', Buffer.alloc(11, 0x80));
    await expect(findKey(place(), 'token_secret', {})).rejects.toThrow(/fewer than 32 bytes/);
  });

  it('that must be text is refused where it is none, and named', async () => {
    await write('database_url', Buffer.from([0x70, 0x80, 0x70]));
    const refused = findText(place(), 'database_url', {});
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(refused).rejects.toThrow(/model_guard_database_url.*MODEL_GUARD_DATABASE_URL.*not UTF-8/);
    await expect(findSecret(place(), 'token_secret', { MODEL_GUARD_TOKEN_SECRET: `${'a1'.repeat(20)}\ufffd` })).rejects.toThrow(
      /not UTF-8 in the environment/,
    );
  });

  it('is not passed over where its file cannot be read', async () => {
    await mkdir(join(folder, 'model_guard_token_secret'));
    await expect(demandKey(place(), 'token_secret', {})).rejects.toMatchObject({ code: 'IO_FAILED' });
  });
});

describe('a key', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const weak: readonly [string, string | Uint8Array, RegExp][] = [
    ['31 random bytes', randomBytes(31), /fewer than 32 bytes/],
    ['one byte', 'a'.repeat(64), /different bytes/],
    ['bytes above 0x7F, all the same', Buffer.alloc(32, 0xc3), /different bytes/],
    ['two words, again and again', 'correct-horse/'.repeat(4), /repeats/],
    ['half a key, twice', Buffer.concat(Array(2).fill(randomBytes(16))), /repeats/],
    ['digits in order', '0123456789'.repeat(4), /repeats/],
    ['the alphabet', alphabet, /counts/],
    ['the alphabet, backwards', [...alphabet].reverse().join(''), /counts/],
    ['the one of development', 'development only: everybody knows this secret', /example/],
    ['the one of a web page', 'a-string-secret-at-least-256-bits-long', /example/],
  ];
  it.each(weak)('of %s is refused in production, named and not shown', async (_, key, why) => {
    await write('token_secret', key);
    const refused = demandKey(place(true), 'token_secret', {});
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(refused).rejects.toThrow(why);
    await expect(refused).rejects.toThrow(/model_guard_token_secret.*MODEL_GUARD_TOKEN_SECRET/);
    if (typeof key === 'string') await expect(refused).rejects.not.toThrow(new RegExp(key.slice(0, 12)));
    const inDevelopment = findKey(place(), 'token_secret', {});
    if (key.length < 32) await expect(inDevelopment).rejects.toThrow(why);
    else expect(await inDevelopment).toHaveLength(key.length);
  });

  it('of random bytes is taken, in whatever usual form', async () => {
    const forms: readonly ((bytes: Buffer) => Buffer | string)[] = [
      (bytes) => bytes,
      (bytes) => bytes.toString('hex'),
      (bytes) => bytes.toString('base64'),
      (bytes) => bytes.toString('base64url'),
      (bytes) => BigInt(`0x${bytes.toString('hex')}`).toString(),
    ];
    for (let run = 0; run < 200; run++)
      for (const form of forms) expect(weaknessOfKey(Buffer.from(form(randomBytes(32))))).toBeUndefined();
    // A border is no repetition, and a whole key twice is still a whole key.
    const key = randomBytes(32);
    key[31] = key[0] ?? 0;
    expect(weaknessOfKey(key)).toBeUndefined();
    expect(weaknessOfKey(Buffer.concat([key, key]))).toBeUndefined();
  });

  it('that is missing is a well-known one in development, and an error in production', async () => {
    expect(Buffer.from(await demandKey(place(), 'token_secret', {})).toString()).toMatch(/^development only/);
    await expect(demandKey(place(true), 'token_secret', {})).rejects.toThrow(/development secret/);
    expect(await findKey(place(true), 'cdn_key', {})).toBeUndefined();
  });
});

describe('a password of another system', () => {
  it.each(['short', 'minioadmin', 'aaaabbbbcccc', 'Password1234', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'])(
    'such as %s can be guessed',
    (password) => {
      expect(weaknessOfPassword(password)).toBeDefined();
    },
  );
  it('of random characters cannot', () => {
    for (let run = 0; run < 200; run++) expect(weaknessOfPassword(randomBytes(15).toString('base64'))).toBeUndefined();
  });
});
