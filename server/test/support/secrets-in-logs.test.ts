/** The search for secrets that every server test ends with. If these fail, a log may hold a secret and every test still pass. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from '@org/model-guard/server-kit';
import { describe, expect, it } from 'vitest';
import { forms } from '../../../test/support/needles.js';
import { expectNoSecrets, KnownSecrets } from './secrets-in-logs.js';
import { PASSWORD, startTestServer } from './server.js';
import { Machine } from './story.js';

const plain = new Uint8Array(randomBytes(300_000));

describe('the search', () => {
  const line = (text: string): string => JSON.stringify({ level: 'info', msg: 'request', what: text });
  /** Each form as a line of the log that was written by mistake. */
  const written = (bytes: Uint8Array): [string, string][] => {
    const text = Buffer.from(bytes);
    const shifted = (before: number, encoding: 'base64' | 'base64url') =>
      Buffer.concat([Buffer.alloc(before, 'x'), text, Buffer.from('tail')]).toString(encoding);
    return [
      ...forms('', bytes).map(({ label, bytes: form }): [string, string] => [label, line(Buffer.from(form).toString('latin1'))]),
      ...[0, 1, 2].flatMap((before): [string, string][] => [
        [`base64 after ${before}`, line(shifted(before, 'base64'))],
        [`base64url after ${before}`, line(shifted(before, 'base64url'))],
      ]),
      ['a Buffer', JSON.stringify({ level: 'info', body: text })],
      ['a Uint8Array', JSON.stringify({ level: 'info', body: Uint8Array.from(bytes) })],
    ];
  };
  const isText = (label: string): boolean => !label.endsWith(', raw');

  it('finds whatever was written by mistake, in every form', async () => {
    const server = await startTestServer();
    const tokens = [await server.token('admin'), await server.token('operator')] as const;
    await server.close();
    const password = 'a "quoted" pass/phrase & ümläute';
    const [token, another] = tokens;
    const key = randomBytes(32);
    const fragment = randomBytes(48);
    const known = new KnownSecrets()
      .text('p', password)
      .token('t', token)
      .bytes('k', key)
      .bytes('f', fragment)
      .payload('m', plain);
    const lines: [string, string][] = [
      ['a password', line(password)],
      ['a password in an address', `GET /?p=${encodeURIComponent(password)}`],
      ['a password in JSON in JSON', line(JSON.stringify({ password }))],
      ['a token', line(token)],
      ['another token', line(another)],
      ['the signature of a token', line(token.slice(token.lastIndexOf('.') + 1))],
      ['a token in base64', line(Buffer.from(`{"token":"${token}"}`).toString('base64'))],
      ...written(Buffer.from(password)).filter(([label]) => isText(label) && !label.startsWith('a ')),
      ...[key, fragment, plain.slice(0, 64), plain.slice(100_000, 140_000)].flatMap((bytes) =>
        written(bytes).filter(([label]) => isText(label) && !(bytes.length > 64 && label === 'a Uint8Array')),
      ),
      ['half a key', line(key.subarray(8, 24).toString('hex'))],
      ['a key between others', line(Buffer.concat([randomBytes(5), key, randomBytes(5)]).toString('base64'))],
    ];
    for (const [what, mistake] of lines) {
      expect(known.foundIn(`${line('before')}\n${mistake}\n${line('after')}`), what).not.toEqual([]);
      expect(() => expectNoSecrets(known, [line('before'), mistake])).toThrow(/lines 2/);
    }
    expect(known.foundIn(line('nothing of this'))).toEqual([]);
    expect(lines.length).toBeGreaterThan(80);
  });

  it('knows what passes over the wire, and what lies in the key files', async () => {
    const other = await startTestServer();
    try {
      const token = await other.token('admin');
      const body = { email: 'operator@example.com', password: randomBytes(21).toString('base64url') };
      await other.request(undefined, 'token', { body });
      const machine = await Machine.ready(other);
      expect(machine.id).toHaveLength(32);
      const keys = other.config.keysFolder;
      const key = readFileSync(join(keys, readdirSync(keys).find((name) => name.startsWith('encryption-')) ?? ''), 'utf8');
      const raw = decode(key.trimEnd().split('\n')[1] ?? '');
      for (const mistake of [
        token,
        body.password,
        Buffer.from(raw).toString('hex'),
        Buffer.from(raw.subarray(32)).toString('base64'),
      ])
        expect(other.secrets.foundIn(line(mistake))).not.toEqual([]);
    } finally {
      await other.close();
    }
  });

  it('makes a test fail: a server that logs a password does not close quietly', async () => {
    const careless = await startTestServer();
    careless.context.log.trace({ what: PASSWORD }, 'a mistake');
    await expect(careless.close()).rejects.toThrow(/the log holds secrets .*the password/);
  });
});
