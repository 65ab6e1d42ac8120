/** The words of a server that has started. If these fail, a person cannot pin its key, or does not learn that passwords travel in the clear. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { announce } from '../../src/start/announcement.js';
import { configure, type Settings } from '../../src/start/config.js';
import { makeLog } from '../../src/start/log.js';

const KEY = 'mgs1:NkW738lbN5OL--t9rQvwwRCSPVR8OLvdrksCqlZqosw';
const URL = 'https://127.0.0.1:8443';
const FILE = '/var/lib/the guard/admin-password.txt';
const base = mkdtempSync(path.join(tmpdir(), 'announcement-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

function announced(settings: Partial<Settings> = {}, { terminal = false, first = true, file = FILE } = {}) {
  const config = configure({ data: '/var/lib/the guard', publicUrl: URL, ...settings }, {});
  const records: Record<string, unknown>[] = [];
  const log = makeLog(config, { write: (line) => void records.push(JSON.parse(line)) });
  let text = '';
  const write = (more: string): void => {
    text += more;
  };
  const context = { serverId: 'ab'.repeat(16), keys: { signing: { publicKey: { toString: () => KEY } } } };
  const server = { url: URL, database: 'SQLite (node:sqlite)', firstPassword: first ? file : undefined, context };
  announce(server, config, { log, write: terminal ? write : undefined });
  return { records, text };
}

describe('a server that has started', () => {
  it('gives programs its address, its key and the file of the first password as records', () => {
    const { records, text } = announced();
    expect(text).toBe('');
    expect(records).toEqual([
      expect.objectContaining({
        msg: 'listening',
        url: URL,
        signing_key: KEY,
        server_id: 'ab'.repeat(16),
        database: 'SQLite (node:sqlite)',
      }),
      expect.objectContaining({ level: 'warn', file: FILE }),
    ]);
  });

  it('gives a person at a terminal the same as text, with the commands of the first steps', () => {
    const { records, text } = announced({}, { terminal: true });
    expect(records).toEqual([]);
    expect(text).toContain(`listens at ${URL}\n`);
    expect(text).toMatch(new RegExp(`signing key +${KEY}`));
    expect(text).toMatch(/database +SQLite \(node:sqlite\)\n/);
    expect(text).toContain(`npx model-guard login --url ${URL} --server-key ${KEY} --credentials admin.txt\n`);
    // A path is one word of the shell.
    expect(text).toContain(`npx model-guard password --current '${FILE}' --new new-password.txt\n`);
    expect(announced({}, { terminal: true, first: false }).text).not.toContain('password');
  });

  describe('on a terminal, with the commands of the first steps pasted', () => {
    const file = path.join(base, 'the guard', 'admin-password.txt');
    const tools = path.join(base, 'tools');
    const [, steps = ''] = announced({}, { terminal: true, file }).text.split('must be changed at the first log-in:\n');
    const commands = steps.split('\n').filter((line) => line.startsWith('  '));
    /** In place of the client: `password` makes the server remove its file, unless the server is away. */
    const paste = (folder: string, away = false): void => {
      const env = { PATH: `${tools}:${process.env.PATH}`, AWAY: String(away), FILE: file };
      const { status, stderr } = spawnSync('bash', ['--norc', '-c', commands.join('\n')], { cwd: folder, env, encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    };
    function started(name: string): string {
      for (const folder of [tools, path.dirname(file), path.join(base, name)]) mkdirSync(folder, { recursive: true });
      writeFileSync(path.join(tools, 'npx'), '#!/bin/sh\n[ "$AWAY" = true ] || [ "$2" != password ] || rm -f "$FILE"\n', {
        mode: 0o755,
      });
      writeFileSync(file, 'the first password\n');
      return path.join(base, name);
    }
    const read = (folder: string, name: string): string => readFileSync(path.join(folder, name), 'utf8');

    it('the new password is made once, and stays the one of the credentials when they are pasted again', () => {
      const folder = started('twice');
      paste(folder);
      const [password, credentials] = [read(folder, 'new-password.txt'), read(folder, 'admin.txt')];
      expect(existsSync(file)).toBe(false);
      expect(credentials).toBe(`admin@localhost\n${password}`);
      paste(folder);
      expect([read(folder, 'new-password.txt'), read(folder, 'admin.txt')]).toEqual([password, credentials]);
      for (const name of ['new-password.txt', 'admin.txt']) expect(statSync(path.join(folder, name)).mode & 0o077).toBe(0);
    });

    it('a server that was away the first time gets the first password the second time', () => {
      const folder = started('away');
      paste(folder, true);
      writeFileSync(path.join(tools, 'npx'), '#!/bin/sh\n[ "$2" != login ] || cp admin.txt shown.txt\n', { mode: 0o755 });
      paste(folder);
      expect(read(folder, 'shown.txt')).toBe('admin@localhost\nthe first password\n');
    });
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
