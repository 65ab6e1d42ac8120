/** The state that a device keeps. If these fail, a device forgets what it has seen, or believes what another user wrote. */
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encode } from '../../src/base/bytes.js';
import { deviceIdOf } from '../../src/contract/index.js';
import { DeviceKey, guardServer, SigningKey } from '../../src/index.js';
import { handleOf } from '../../src/keys/key.js';
import type { KeyHandle } from '../../src/native/binding.js';
import { type Grant, NOTHING, readState, type State, writeState } from '../../src/remote/device/state.js';
import { StateFolder } from '../../src/remote/device/state-folder.js';
import { startChild } from '../support/children.js';
import { failureOf } from '../support/failures.js';
import { asOrdinaryUser } from '../support/ordinary-user.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('state');
const random = seeded('state');
const server = randomBytes(16).toString('hex');
const pinned = `mgs1:${encode(randomBytes(32))}`;
const device = DeviceKey.generate();
let folders = 0;

const idOf = (key: DeviceKey): string => deviceIdOf(key.publicKey.toString());
const folderOf = (root: string, key = device): StateFolder => new StateFolder(root, handleOf(key) as KeyHandle, idOf(key));
const newRoot = (): string => path.join(base, `state-${folders++}`);
const filesOf = (root: string, key = device): string[] =>
  readdirSync(path.join(root, idOf(key)))
    .filter((name) => !name.startsWith('token') && !name.endsWith('.token'))
    .sort();
const fileOf = (root: string): string => path.join(root, idOf(device), filesOf(root)[0] ?? 'none');
const grantOf = (small: Uint8Array): Grant => ({
  small,
  lease: { payload: encode(randomBytes(10)), signature: encode(randomBytes(64)), key: pinned },
  big: { name: `${'0'.repeat(32)}-56`, size: 10, url: 'http://localhost/x', expires: 5 },
});
const counted = (count: number): State => ({ ...NOTHING, keys: [pinned], ordinals: new Map([['constructor', count]]) });

describe('a state', () => {
  it('comes back as it was, names such as constructor too', async () => {
    const root = newRoot();
    const state: State = {
      keys: [pinned],
      ordinals: new Map([
        ['constructor', 3],
        ['a', 1],
      ]),
      leases: new Map([['valueof', grantOf(random.bytes(3000))]]),
      checkpoint: { logId: server, seq: 4, head: 'ab'.repeat(48), time: 9, signature: encode(randomBytes(64)) },
      clock: { time: 7, bootId: 'a', boottime: 1.5 },
    };
    await folderOf(root).update(server, () => state);
    expect(await folderOf(root).read(server)).toEqual(state);
    expect(await folderOf(root).find(pinned)).toEqual({ server, state });
    expect(await folderOf(root).find(`mgs1:${encode(randomBytes(32))}`)).toBeUndefined();
  });

  it('of a server that was never met is empty', async () => {
    expect(await folderOf(newRoot()).read(server)).toEqual(NOTHING);
  });

  it('is one file for its owner alone, in which nothing can be read', async () => {
    const root = newRoot();
    const secret = random.bytes(64);
    for (let count = 1; count <= 5; count += 1)
      await folderOf(root).update(server, () => ({ ...counted(count), leases: new Map([['a', grantOf(secret)]]) }));
    expect(filesOf(root)).toEqual([`${server}.5`]);
    expect(statSync(fileOf(root)).mode & 0o777).toBe(0o600);
    const text = readFileSync(fileOf(root)).toString('latin1');
    for (const needle of [Buffer.from(secret).toString('latin1'), encode(secret), 'constructor', 'ordinals'])
      expect(text).not.toContain(needle);
  });

  it('leaves the oldest leases out when it would be too large', () => {
    const large = 6 * 1024 * 1024;
    const leases = new Map(['a', 'b', 'c'].map((name) => [name, grantOf(new Uint8Array(large))]));
    expect([...readState(writeState({ ...NOTHING, leases })).leases.keys()]).toEqual(['c']);
    const one = new Map([['a', grantOf(new Uint8Array(17 * 1024 * 1024))]]);
    expect(readState(writeState({ ...counted(4), leases: one }))).toEqual(counted(4));
  });

  it('of another version is not misread', async () => {
    expect((await failureOf(() => readState(Buffer.from('{"version":2}')))).code).toBe('VERSION_UNSUPPORTED');
  });
});

describe('a state folder', () => {
  const write = (root: string) => folderOf(root).update(server, () => counted(1));
  const modeOf = (folder: string): number => statSync(folder).mode & 0o777;
  const before = process.umask();
  afterEach(() => {
    vi.unstubAllEnvs();
    process.umask(before);
  });

  it('is for this user alone, with all of its parents that are missing, whatever the umask', async () => {
    const root = path.join(newRoot(), 'below');
    process.umask(0);
    await write(root);
    expect([path.dirname(root), root, path.join(root, idOf(device))].map(modeOf)).toEqual([0o700, 0o700, 0o700]);
    for (const file of filesOf(root)) expect(modeOf(path.join(root, idOf(device), file))).toBe(0o600);
  });

  it('that is open to other users is closed; the folder that the caller named stays as it is', async () => {
    const root = newRoot();
    const own = path.join(root, idOf(device));
    mkdirSync(own, { recursive: true });
    for (const folder of [root, own]) chmodSync(folder, 0o755);
    await write(root);
    expect([root, own].map(modeOf)).toEqual([0o755, 0o700]);
  });

  it('that cannot be made, as in / for a user without a home, says how to name another', async () => {
    const root = newRoot();
    mkdirSync(root);
    chmodSync(base, 0o755);
    const { code, message } = await asOrdinaryUser(() => failureOf(() => write(path.join(root, '.local/state/model-guard'))));
    expect(code).toBe('PERMISSION_DENIED');
    for (const name of [root, 'options.state', '--state-folder', 'XDG_STATE_HOME']) expect(message).toContain(name);
  });

  it('is asked for where there is no home folder; a relative XDG_STATE_HOME is ignored', () => {
    const serverKey = SigningKey.generate().publicKey;
    const make = (more: object = {}) => guardServer({ url: 'https://guard.example', serverKey, device, ...more });
    vi.stubEnv('XDG_STATE_HOME', 'state');
    vi.stubEnv('HOME', 'nowhere');
    const named = expect.stringMatching(/options\.state, --state-folder .* XDG_STATE_HOME/);
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message: named }));
    expect(() => make({ state: newRoot() })).not.toThrow();
    vi.stubEnv('XDG_STATE_HOME', newRoot());
    expect(make).not.toThrow();
  });
});

describe('a state that was tampered with', () => {
  it('is refused, whatever byte was changed', async () => {
    const root = newRoot();
    await folderOf(root).update(server, () => counted(1));
    const good = readFileSync(fileOf(root));
    const altered: Buffer[] = [
      Buffer.alloc(0),
      good.subarray(0, 20),
      Buffer.concat([good, Buffer.alloc(1)]),
      Buffer.from(randomBytes(good.length)),
    ];
    for (let count = 0; count < 50; count += 1) {
      const bad = Buffer.from(good);
      const at = random.integer(bad.length);
      bad[at] = (bad[at] ?? 0) ^ random.mask();
      altered.push(bad);
    }
    for (const bad of altered) {
      writeFileSync(fileOf(root), bad);
      expect((await failureOf(() => folderOf(root).read(server))).code).toBe('INTEGRITY_FAILED');
    }
  });

  it('is refused where it is another device’s, or about another server', async () => {
    const root = newRoot();
    const other = DeviceKey.generate();
    await folderOf(root).update(server, () => counted(1));
    mkdirSync(path.join(root, idOf(other)));
    copyFileSync(fileOf(root), path.join(root, idOf(other), `${server}.1`));
    expect((await failureOf(() => folderOf(root, other).read(server))).code).toBe('INTEGRITY_FAILED');
    const elsewhere = randomBytes(16).toString('hex');
    renameSync(fileOf(root), path.join(root, idOf(device), `${elsewhere}.1`));
    expect((await failureOf(() => folderOf(root).read(elsewhere))).code).toBe('INTEGRITY_FAILED');
  });

  it('is not read where it is larger than any state', async () => {
    const root = newRoot();
    mkdirSync(path.join(root, idOf(device)), { recursive: true });
    writeFileSync(path.join(root, idOf(device), `${server}.1`), Buffer.alloc(16 * 1024 * 1024 + 29));
    expect((await failureOf(() => folderOf(root).read(server))).code).toBe('LIMIT_EXCEEDED');
  });
});

describe('changes at the same time', () => {
  const adding =
    (name: string) =>
    (state: State): State => ({ ...state, ordinals: new Map(state.ordinals).set(name, 1) });

  it('in one process, through several folders, all count', async () => {
    const root = newRoot();
    const several = Array.from({ length: 5 }, () => folderOf(root));
    await Promise.all(Array.from({ length: 40 }, (_, index) => several[index % 5]?.update(server, adding(`n${index}`))));
    expect((await folderOf(root).read(server)).ordinals.size).toBe(40);
    expect(filesOf(root)).toHaveLength(1);
  });

  it('in several processes all count', async () => {
    const root = newRoot();
    const file = path.join(base, 'device.key');
    await device.save(file);
    const each = 15;
    const children = [1, 2, 3].map(() => startChild('state-writer.ts', { args: [file, root, server, String(each)] }));
    await Promise.all(children.map((child) => child.waitFor('ready')));
    for (const child of children) child.say('go');
    await Promise.all(children.map((child) => child.waitFor('done')));
    expect((await folderOf(root).read(server)).ordinals.size).toBe(3 * each);
  });

  it('a file that came back under an old number is not taken for the newest', async () => {
    const root = newRoot();
    await folderOf(root).update(server, () => counted(1));
    const old = path.join(base, 'old');
    copyFileSync(fileOf(root), old);
    await folderOf(root).update(server, () => counted(2));
    copyFileSync(old, path.join(root, idOf(device), `${server}.1`));
    expect((await folderOf(root).read(server)).ordinals.get('constructor')).toBe(2);
    await folderOf(root).update(server, adding('a'));
    expect(filesOf(root)).toEqual([`${server}.3`]);
  });
});
