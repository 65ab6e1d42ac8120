/** The words of a server that has started. If these fail, a person cannot pin its key, or does not learn that passwords travel in the clear. */
import { describe, expect, it } from 'vitest';
import { announce } from '../src/announcement.js';
import { configure, type Settings } from '../src/config.js';
import { makeLog } from '../src/log.js';

const KEY = 'mgs1:NkW738lbN5OL--t9rQvwwRCSPVR8OLvdrksCqlZqosw';
const URL = 'https://127.0.0.1:8443';
const FILE = '/var/lib/the guard/admin-password.txt';

function announced(settings: Partial<Settings> = {}, { terminal = false, first = true } = {}) {
  const config = configure({ data: '/var/lib/the guard', publicUrl: URL, ...settings }, {});
  const records: Record<string, unknown>[] = [];
  const log = makeLog(config, { write: (line) => void records.push(JSON.parse(line)) });
  let text = '';
  const write = (more: string): void => {
    text += more;
  };
  const context = { serverId: 'ab'.repeat(16), keys: { signing: { publicKey: { toString: () => KEY } } } };
  const server = { url: URL, firstPassword: first ? FILE : undefined, context };
  announce(server, config, { log, write: terminal ? write : undefined });
  return { records, text };
}

describe('a server that has started', () => {
  it('gives programs its address, its key and the file of the first password as records', () => {
    const { records, text } = announced();
    expect(text).toBe('');
    expect(records).toEqual([
      expect.objectContaining({ msg: 'listening', url: URL, signing_key: KEY, server_id: 'ab'.repeat(16) }),
      expect.objectContaining({ level: 'warn', file: FILE }),
    ]);
  });

  it('gives a person at a terminal the same as text, with the commands of the first steps', () => {
    const { records, text } = announced({}, { terminal: true });
    expect(records).toEqual([]);
    expect(text).toContain(`listens at ${URL}\n`);
    expect(text).toMatch(new RegExp(`signing key +${KEY}`));
    expect(text).toContain(`npx model-guard login --url ${URL} --server-key ${KEY} --credentials admin.txt\n`);
    // A path is one word of the shell.
    expect(text).toContain(`npx model-guard password --current '${FILE}' --new new-password.txt\n`);
    expect(announced({}, { terminal: true, first: false }).text).not.toContain('password');
  });

  it('stays silent on a terminal where the log level asks for it', () => {
    expect(announced({ logLevel: 'silent' }, { terminal: true })).toEqual({ text: '', records: [] });
  });

  it.each([
    ['plain HTTP to the network', { host: '0.0.0.0' }, /plain HTTP.*--tls-cert/],
    ['no authentication', { authentication: false }, /authentication is off/],
  ])('warns of %s, in both forms', (_what, settings, warning) => {
    const { records } = announced(settings);
    expect(records).toContainEqual(expect.objectContaining({ level: 'warn', msg: expect.stringMatching(warning) }));
    expect(announced(settings, { terminal: true }).text).toMatch(warning);
  });

  it.each([
    ['at a loopback address', {}],
    ['with TLS', { host: '0.0.0.0', tlsCert: 'a', tlsKey: 'b' }],
    ['behind a proxy that ends TLS', { host: '0.0.0.0', behindProxy: '10.1.2.3/32' }],
  ])('does not warn of plain HTTP %s', (_what, settings) => {
    expect(JSON.stringify(announced(settings).records)).not.toContain('plain HTTP');
  });
});
