/**
 * Permissions of what is published into a folder. If this fails, a web server of another user cannot serve big parts, or every user of
 * the machine can guess the passphrases of small parts.
 */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { encryptFile, fileStore, MasterKey, memoryStore, type PartStore, protect, splitFile } from '../../src/index.js';
import { modelGuard, succeed } from '../support/cli.js';
import { failureOf } from '../support/failures.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('file-modes');
const at = (name: string): string => path.join(base, name);
const key = MasterKey.generate();
const recipients = [key];
const model = at('net.onnx');
writeFileSync(model, new Uint8Array(100_000).fill(7));
const before = process.umask();
afterEach(() => {
  process.umask(before);
});

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8);
/** Permissions by kind, each named once. */
function modesIn(folder: string): Readonly<Record<string, string>> {
  const names = ['.', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })];
  const kinds = names.map((name) => {
    const kind = statSync(path.join(folder, name)).isDirectory()
      ? 'folders'
      : name.endsWith('.tree')
        ? 'tree'
        : (name.split(path.sep)[0] ?? '');
    return [kind, modeOf(path.join(folder, name))] as const;
  });
  return Object.fromEntries(
    kinds.map(([kind]) => [kind, [...new Set(kinds.filter(([one]) => one === kind).map(([, mode]) => mode))].join()]),
  );
}
/** Without a local target, the part streams through JavaScript. */
function streaming(store: PartStore): PartStore {
  const other = memoryStore();
  return Object.assign(other, { putSmall: store.putSmall.bind(store), putBig: store.putBig.bind(store) });
}
const WAYS: Readonly<Record<string, (to: PartStore) => Promise<unknown>>> = {
  'written by the engine': (to) => protect(model, { name: 'net', version: '1', recipients, to }),
  streamed: (to) => protect(model, { name: 'net', version: '1', recipients, to: streaming(to) }),
  staged: (to) => protect(model, { name: 'net', version: '1', recipients, to, resume: at('staging') }),
};
let count = 0;
const newFolder = (): string => at(`store-${count++}`);

describe.each(Object.entries(WAYS))('a store in a folder, %s', (_, publish) => {
  it.each([
    [0o022, { folders: '755', big: '644', tree: '644', small: '600' }],
    [0o027, { folders: '750', big: '640', tree: '640', small: '600' }],
    [0o077, { folders: '700', big: '600', tree: '600', small: '600' }],
  ])('leaves all but small parts to the umask %o', async (umask, expected) => {
    const folder = newFolder();
    process.umask(umask);
    await publish(fileStore(folder));
    expect(modesIn(folder)).toEqual(expected);
  });

  it.each([
    [0o644, { folders: '755', big: '644', tree: '644', small: '644' }],
    [0o640, { folders: '750', big: '640', tree: '640', small: '640' }],
    [0o600, { folders: '700', big: '600', tree: '600', small: '600' }],
  ])('has the mode %o that it was given, whatever the umask', async (mode, expected) => {
    const folder = newFolder();
    process.umask(0o077);
    await publish(fileStore(folder, { mode }));
    expect(modesIn(folder)).toEqual(expected);
  });
});

it('a store takes no mode that executes, that shuts its owner out, or that is none', async () => {
  for (const mode of [0o755, 0o444, 0o1600, -1, 6.5])
    expect((await failureOf(async () => fileStore(base, { mode }))).code).toBe('INVALID_ARGUMENT');
});

it('parts that were cut from a container: the small one is private, and so is the container', async () => {
  process.umask(0o022);
  await encryptFile(model, at('net.mguard'), { recipients });
  await splitFile(at('net.mguard'), { small: at('cut.small'), big: at('cut.big') });
  expect(['net.mguard', 'cut.small', 'cut.big', 'cut.big.tree'].map((name) => modeOf(at(name)))).toEqual([
    '600',
    '600',
    '644',
    '644',
  ]);
});

it('the command sets them with --store-mode', async () => {
  await key.save(at('master.key'));
  const args = (folder: string, mode: string) => [
    ...['protect', model, 'net@1', '--recipient', at('master.key')],
    ...['--store', folder, '--store-mode', mode],
  ];
  const folder = newFolder();
  mkdirSync(folder, { mode: 0o755 });
  process.umask(0o077);
  await succeed(...args(folder, '644'));
  expect(modesIn(folder)).toMatchObject({ big: '644', tree: '644', small: '644' });
  const refused = await modelGuard(...args(folder, '755'));
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--store-mode wants')]);
});
