/**
 * A loaded model as a path. If these fail, a program reads another model than the one that was published, can change it, keeps it after
 * `dispose()`, or plaintext comes to lie in a file system.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { decrypt, encrypt, fileStore, type GuardedModel, load, MasterKey, protect } from '../../src/index.js';
import { startWorker } from '../children/start-worker.js';
import { startChild } from '../support/children.js';
import { codeOf, failureOf } from '../support/failures.js';
import { hooked } from '../support/hooked-store.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('path');
const at = (name: string): string => path.join(base, name);
const plain = seeded('path').bytes(3_000_001);
const FILES = new Map<string, Uint8Array>([
  ['config.json', Buffer.from('{}')],
  ['deep/er/weights', plain],
  ['empty', new Uint8Array()],
]);
writeFileSync(at('net.onnx'), plain);
for (const [name, bytes] of FILES) {
  mkdirSync(path.dirname(at(`net/${name}`)), { recursive: true });
  writeFileSync(at(`net/${name}`), bytes);
}
mkdirSync(at('one'));
writeFileSync(at('one/only'), 'of a folder');
mkdirSync(at('many'));
for (let count = 0; count < 100; count++) writeFileSync(at(`many/${count}`), 'one of many');
const key = MasterKey.generate();
await key.save(at('master.key'));
const identities = [key];
const store = fileStore(at('store'));
for (const name of ['net.onnx', 'net', 'one', 'many'])
  await protect(at(name), {
    name: name === 'net' ? 'folder' : path.parse(name).name,
    version: '1',
    recipients: identities,
    to: store,
  });
const opening = { from: store, identities, unsigned: 'accept', as: 'path' } as const;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
/** Runs a program that has `descriptor` as its descriptor 3. */
function withDescriptor(descriptor: number, command: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'pipe', descriptor],
    maxBuffer: 2 ** 26,
  });
  expect(String(stderr)).toBe('');
  expect(status).toBe(0);
  return stdout;
}
/** Descriptors of this process that show a file in memory of ours. */
const memoryFiles = (): readonly string[] =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:model-guard');
    } catch {
      return false;
    }
  });
/** A folder for temporary files of one test. */
function scratch(name: string): string {
  mkdirSync(at(name));
  vi.stubEnv('TMPDIR', at(name));
  vi.stubEnv('XDG_RUNTIME_DIR', undefined);
  return at(name);
}
afterEach(() => vi.unstubAllEnvs());

describe('the path of a file', () => {
  it('opens the whole file, for reading alone, and beside it bytes and read work on', async () => {
    using model = await load('net@1', opening);
    expect(model.path()).toMatch(/^\/proc\/self\/fd\/\d+$/);
    expect(model.files.get('net.onnx')?.path()).toBe(model.path());
    expect(statSync(model.path()).size).toBe(plain.length);
    expect(same(readFileSync(model.path()), plain)).toBe(true);
    expect(same(model.bytes, plain)).toBe(true);
    expect(same(await model.read(5, 100), plain.subarray(5, 105))).toBe(true);
    expect(model.protection.memfd).toBe(true);
    const descriptor = openSync(model.path(), process.getuid?.() === 0 ? 'r+' : 'r');
    expect(() => writeSync(descriptor, 'changed')).toThrow(/EPERM|EBADF/);
    closeSync(descriptor);
    expect(() => writeFileSync(model.path(), 'changed')).toThrow(/EPERM|EACCES/);
    expect(same(readFileSync(model.path()), plain)).toBe(true);
  });

  it('shows the same bytes to other programs, read and mapped', async () => {
    using model = await load('net@1', opening);
    const descriptor = openSync(model.path(), 'r');
    try {
      expect(same(withDescriptor(descriptor, 'cat', '/proc/self/fd/3'), plain)).toBe(true);
      const foreign = `/proc/${process.pid}/fd/${path.basename(model.path())}`;
      expect(same(spawnSync('cat', [foreign], { maxBuffer: 2 ** 26 }).stdout, plain)).toBe(true);
      const python = `import sys, mmap
whole = open('/proc/self/fd/3', 'rb').read()
mapped = mmap.mmap(3, 0, prot=mmap.PROT_READ)
assert mapped[:] == whole
sys.stdout.buffer.write(whole)`;
      expect(same(withDescriptor(descriptor, 'python3', '-c', python), plain)).toBe(true);
      writeFileSync(at('map.c'), MAP_IN_C);
      expect(spawnSync('cc', ['-o', at('map'), at('map.c')]).status).toBe(0);
      expect(same(withDescriptor(descriptor, at('map'), '/proc/self/fd/3'), plain)).toBe(true);
    } finally {
      closeSync(descriptor);
    }
  });

  it('is there only where it was asked for, and until dispose()', async () => {
    const sealed = await encrypt(plain, { name: 'net', version: '1', recipients: identities });
    using bytes = await decrypt(sealed, { identities, unsigned: 'accept' });
    expect(bytes.protection.memfd).toBe(false);
    expect(await failureOf(() => bytes.path())).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: "this model was not loaded as a path. Load it with as: 'path'.",
    });
    const model = await decrypt(sealed, { identities, unsigned: 'accept', as: 'path' });
    expect(same(readFileSync(model.path()), plain)).toBe(true);
    model.dispose();
    expect(await codeOf(() => model.path())).toBe('DISPOSED');
    expect(await codeOf(() => load('net@1', { ...opening, as: 'file' as 'path' }))).toBe('INVALID_ARGUMENT');
  });

  it('is refused before anything is fetched on a system without such files', async () => {
    vi.spyOn(process, 'platform', 'get').mockReturnValue('darwin');
    const refused = await failureOf(() => load('nothing@1', opening));
    vi.restoreAllMocks();
    expect(refused).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^options\.as: 'path' wants Linux/),
    });
  });

  it('shows zeros after dispose() to a process that holds the file', async () => {
    const model = await load('net@1', opening);
    const descriptor = openSync(model.path(), 'r');
    const holder = spawn('sh', ['-c', 'while read word; do sha256sum < /proc/self/fd/3; done'], {
      stdio: ['pipe', 'pipe', 'inherit', descriptor],
    });
    const lines = createInterface({ input: holder.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const digest = async (): Promise<string> => {
      holder.stdin?.write('again\n');
      return String((await lines.next()).value).slice(0, 64);
    };
    const { createHash } = await import('node:crypto');
    const of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    expect(await digest()).toBe(of(plain));
    model.dispose();
    expect(await digest()).toBe(of(new Uint8Array(plain.length)));
    expect(fstatSync(descriptor).size).toBe(plain.length);
    closeSync(descriptor);
    holder.stdin?.end();
    await once(holder, 'close');
  });

  it('is good for a reader in use() that dispose() waits for', async () => {
    const runtime = scratch('in-use');
    const model = await load('one@1', opening);
    const folder = model.path();
    let read = (): void => {};
    const reading = model.use(async () => {
      await new Promise<void>((resolve) => {
        read = resolve;
      });
      return readFileSync(path.join(folder, 'only'), 'utf8');
    });
    const disposed = model[Symbol.asyncDispose]();
    read();
    expect(await reading).toBe('of a folder');
    await disposed;
    expect(readdirSync(runtime)).toEqual([]);
  });
});

describe('the path of a folder', () => {
  it('is a private folder of links with the names of the files', async () => {
    const runtime = scratch('links');
    const model = await load('folder@1', opening);
    const folder = model.path();
    expect(path.dirname(folder)).toBe(runtime);
    expect(model.path()).toBe(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o500);
    for (const [name, bytes] of FILES) {
      const link = path.join(folder, name);
      expect(readlinkSync(link)).toMatch(new RegExp(`^/proc/${process.pid}/fd/\\d+$`));
      expect(same(readFileSync(link), bytes)).toBe(true);
      expect(same(spawnSync('cat', [link], { maxBuffer: 2 ** 26 }).stdout, bytes)).toBe(true);
      expect(same(readFileSync(model.files.get(name)?.path() ?? ''), bytes)).toBe(true);
    }
    model.dispose();
    expect(readdirSync(runtime)).toEqual([]);
    expect(await codeOf(() => model.path())).toBe('DISPOSED');
  });

  it('is a folder for a single file, too', async () => {
    scratch('single');
    using model = await load('one@1', opening);
    expect(readFileSync(path.join(model.path(), 'only'), 'utf8')).toBe('of a folder');
  });

  it('lies in XDG_RUNTIME_DIR where that is private and in memory', async () => {
    const runtime = scratch('not-runtime');
    const inMemory = temporaryFolder('runtime', '/dev/shm');
    vi.stubEnv('XDG_RUNTIME_DIR', inMemory);
    using model = await load('one@1', opening);
    expect(path.dirname(model.path())).toBe(inMemory);
    chmodSync(inMemory, 0o755);
    using other = await load('one@1', opening);
    expect(path.dirname(other.path())).toBe(runtime);
  });

  it('of a killed process is removed by the next one, and no other is', async () => {
    const runtime = scratch('stale');
    const args = [at('store'), at('master.key'), 'one@1'];
    const child = startChild('load-path.ts', { args });
    const stale = await child.waitFor('loaded');
    const living = startChild('load-path.ts', { args });
    const kept = await living.waitFor('loaded');
    await child.kill();
    expect(existsSync(stale)).toBe(true);
    // Of a container, and of a machine, that share the folder; of a process whose id is in use again; not ours.
    const [, , , boot, namespace, pid] = path.basename(kept).split('-');
    const foreign = path.join(runtime, `model-guard-links-${boot}-1-${pid}-1-abcdef`);
    const remote = path.join(runtime, `model-guard-links-0-${namespace}-${pid}-1-abcdef`);
    const reused = path.join(runtime, `model-guard-links-${boot}-${namespace}-${pid}-1-abcdef`);
    const another = path.join(runtime, 'model-guard-links-mine');
    for (const folder of [foreign, remote, reused, another]) mkdirSync(folder, { mode: 0o700 });
    writeFileSync(at('outside'), 'must stay');
    symlinkSync(at('outside'), path.join(reused, 'link'));
    using model = await load('one@1', opening);
    model.path();
    const folders = [stale, kept, foreign, remote, reused, another];
    expect(folders.map((folder) => existsSync(folder))).toEqual([false, true, true, true, false, true]);
    expect(readFileSync(at('outside'), 'utf8')).toBe('must stay');
    living.say('end');
    expect((await living.ended).code).toBe(0);
    expect(existsSync(kept)).toBe(false);
  });
});

describe('loading as a path', () => {
  it('leaves no descriptor after an abort half-way, a refusal and dispose()', async () => {
    const before = memoryFiles();
    const stopping = new AbortController();
    const from = hooked(store, (operation, count) => void (operation === 'read' && count === 2 && stopping.abort()), {
      streamed: true,
    });
    const aborted = load('net@1', { ...opening, from, cache: false, signal: stopping.signal });
    expect(await codeOf(() => aborted)).toBe('ABORT_ERR');
    const damaged = await encrypt(plain, { name: 'net', version: '1', recipients: identities });
    damaged[damaged.length - 5000] = (damaged[damaged.length - 5000] ?? 0) ^ 1;
    expect(await codeOf(() => decrypt(damaged, { identities, unsigned: 'accept', as: 'path' }))).toBe('INTEGRITY_FAILED');
    const model: GuardedModel = await load('folder@1', opening);
    expect(memoryFiles().length).toBe(before.length + FILES.size);
    model.dispose();
    expect(memoryFiles()).toEqual(before);
  });

  it.each([
    ['too few descriptors', '--nofile=90', 'many@1', /^OUT_OF_MEMORY .*\(RLIMIT_NOFILE, ulimit -n\) is 90\./],
    ['files that may not be as large', '--fsize=1024000', 'net@1', /^OUT_OF_MEMORY .*\(RLIMIT_FSIZE, ulimit -f\) is 1024000\./],
  ])('with %s is an error that names the limit', async (_, limit, ref, message) => {
    const child = startChild('load-path.ts', { args: [at('store'), at('master.key'), ref, limit] });
    expect(await child.line()).toMatch(message);
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
  });

  it('works in worker threads, whose paths are those of the process', async () => {
    const worker = startWorker('./path-worker.ts', { store: at('store'), key: at('master.key'), ref: 'net@1' });
    const ended = once(worker, 'exit');
    const [shown] = (await once(worker, 'message')) as [string];
    expect(same(readFileSync(shown), plain)).toBe(true);
    const { ino } = statSync(shown);
    worker.postMessage('dispose');
    await ended;
    expect(statSync(shown, { throwIfNoEntry: false })?.ino).not.toBe(ino);
  });

  it('puts plaintext into no file system, and into no other process', async () => {
    const marker = 'a marker that no other file has';
    writeFileSync(at('marked'), Buffer.from(`${marker} ${Math.random()}`.repeat(10_000)));
    await protect(at('marked'), { name: 'marked', version: '1', recipients: identities, to: store });
    const temporary = scratch('marked-scratch');
    using model = await load('marked@1', opening);
    model.path();
    for (const place of [temporary, '/dev/shm', at('store')])
      expect(spawnSync('grep', ['-rlaF', '--devices=skip', marker, place], { encoding: 'utf8' }).stdout).toBe('');
    const { ino, dev } = statSync(model.path());
    const holders = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && holds(pid, ino, dev));
    expect(holders).toEqual([String(process.pid)]);
  });
});

function holds(pid: string, ino: number, dev: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const stats = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false });
      return stats?.ino === ino && stats.dev === dev;
    });
  } catch {
    return false; // gone by now
  }
}

/** Maps a file and writes it to standard output. */
const MAP_IN_C = `#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char** argv) {
  int fd = open(argv[1], O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return 1;
  char* data = mmap(0, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return 2;
  for (off_t at = 0; at < st.st_size;) {
    ssize_t n = write(1, data + at, st.st_size - at);
    if (n < 0) return 3;
    at += n;
  }
  return mmap(0, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? 0 : 4;
}
`;
