/** Files and folders may be protected; everything else is refused by name. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { collectSource, EMPTY_FOLDERS_WARNING, LINKS_OUTSIDE_WARNING } from '../../src/engine/source.js';
import { failureOf } from '../support/failures.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('source');
const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
afterEach(() => warnings.mockClear());
let count = 0;
function folder(...files: readonly string[]): string {
  const root = path.join(base, `source-${count++}`);
  mkdirSync(root);
  for (const file of files) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), 'x');
  }
  return root;
}

describe('a source', () => {
  it('of one file is that file under its name', async () => {
    const root = folder('net.onnx');
    expect(await collectSource(path.join(root, 'net.onnx'))).toEqual({
      inputs: [{ path: 'net.onnx', onDisk: path.join(root, 'net.onnx') }],
      format: 'onnx',
    });
  });

  it('of a folder is every file below it; empty folders are left out and named', async () => {
    const root = folder('config.json', 'weights/a.bin', 'weights/deep/b.bin');
    for (const one of ['empty/inside', 'weights/2']) mkdirSync(path.join(root, one), { recursive: true });
    writeFileSync(path.join(root, 'nothing'), '');
    const { inputs, format } = await collectSource(`${root}/`);
    const [text = '', named] = warnings.mock.calls[0] ?? [];
    expect(String(text).split(': ').at(-1)?.split(', ').sort()).toEqual(['empty/', 'weights/2/']);
    expect([warnings.mock.calls.length, named]).toEqual([1, expect.objectContaining({ code: EMPTY_FOLDERS_WARNING })]);
    expect(inputs.map((input) => input.path).sort()).toEqual(['config.json', 'nothing', 'weights/a.bin', 'weights/deep/b.bin']);
    expect(format).toBe('folder');
  });

  it('may be named through a link, and keeps the name it was given', async () => {
    const root = folder('blob');
    symlinkSync(path.join(root, 'blob'), path.join(root, 'model.onnx'));
    const { inputs } = await collectSource(path.join(root, 'model.onnx'));
    expect(inputs).toEqual([{ path: 'model.onnx', onDisk: path.join(root, 'blob') }]);
  });

  it('with decomposed names is listed in NFC', async () => {
    const root = folder('mode\u0300le.onnx');
    expect((await collectSource(root)).inputs.map((input) => input.path)).toEqual(['mod\u00e8le.onnx']);
  });

  it('with 10,000 files is taken, with one more refused', async () => {
    const root = folder(...Array.from({ length: 10_000 }, (_, index) => `f${index}`));
    expect((await collectSource(root)).inputs).toHaveLength(10_000);
    writeFileSync(path.join(root, 'one more'), 'x');
    expect((await failureOf(() => collectSource(root))).code).toBe('LIMIT_EXCEEDED');
  });

  it('of a folder with one file stays a folder: no other format says that it was one', async () => {
    for (const root of [folder('net.gguf'), folder('deep/net.gguf')]) {
      expect(await failureOf(() => collectSource(root, { format: 'gguf' }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/^options\.format: .* is a folder of one file; as gguf .*--format/),
      });
      for (const format of [undefined, 'folder']) expect((await collectSource(root, { format })).format).toBe('folder');
    }
  });

  it('is of the format that the caller names, a file or a folder of several files', async () => {
    const root = folder('a.onnx', 'b.onnx');
    expect((await collectSource(root, { format: 'ensemble' })).format).toBe('ensemble');
    expect((await collectSource(path.join(root, 'a.onnx'), { format: 'raw' })).format).toBe('raw');
  });

  it('stops when the signal says so', async () => {
    expect((await failureOf(() => collectSource(folder('a'), { signal: AbortSignal.abort() }))).name).toBe('AbortError');
  });
});

const inFolder = (make: (root: string) => unknown) => async () => {
  const root = folder('good', 'sub/good');
  await make(root);
  return root;
};
const refused: readonly [string, () => Promise<string>, string, RegExp][] = [
  ['nothing', async () => path.join(base, 'none'), 'NOT_FOUND', /none/],
  ['an empty file', async () => emptyFile(), 'SOURCE_EMPTY', /empty/],
  ['an empty folder', async () => folder(), 'SOURCE_EMPTY', /holds no files/],
  ['a folder of empty folders', async () => emptyFolders(), 'SOURCE_EMPTY', /holds no files/],
  ['a device', async () => '/dev/null', 'SOURCE_UNSUPPORTED', /\/dev\/null is a device/],
  [
    'a link in a folder',
    inFolder((root) => symlinkSync('good', path.join(root, 'sub/link'))),
    'SOURCE_UNSUPPORTED',
    /sub\/link is a symbolic link.*--follow-links/,
  ],
  [
    'a link to a folder in a folder',
    inFolder((root) => symlinkSync('/', path.join(root, 'link'))),
    'SOURCE_UNSUPPORTED',
    /link is a symbolic link/,
  ],
  [
    'a pipe in a folder',
    inFolder((root) => execFileSync('mkfifo', [path.join(root, 'pipe')])),
    'SOURCE_UNSUPPORTED',
    /pipe is a named pipe/,
  ],
  ['a socket in a folder', inFolder(listen), 'SOURCE_UNSUPPORTED', /socket is a socket/],
  ['a reserved name', inFolder((root) => writeFileSync(path.join(root, 'aux.txt'), 'x')), 'NAME_INVALID', /aux\.txt/],
  ['a backslash in a name', inFolder((root) => writeFileSync(path.join(root, 'a\\b'), 'x')), 'NAME_INVALID', /./],
  ['a line end in a name', inFolder((root) => writeFileSync(path.join(root, 'a\nb'), 'x')), 'NAME_INVALID', /./],
  [
    'a name that is not UTF-8',
    inFolder((root) => writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]), 'x')),
    'NAME_INVALID',
    /not UTF-8/,
  ],
];

function emptyFolders(): string {
  const root = path.join(base, 'empty folders');
  mkdirSync(path.join(root, 'inside'), { recursive: true });
  return root;
}

function emptyFile(): string {
  const file = path.join(base, 'empty.onnx');
  writeFileSync(file, '');
  return file;
}

async function listen(root: string): Promise<void> {
  const server = createServer().listen(path.join(root, 'socket'));
  await new Promise((ready) => server.once('listening', ready));
  server.unref();
}

describe('links of a source that are followed', () => {
  const follow = (root: string) => collectSource(root, { followLinks: true });

  it('are the files that they lead to, as in a snapshot of a Hugging Face cache', async () => {
    const cache = folder('blobs/abc', 'blobs/def', 'snapshots/main/README.md');
    const snapshot = path.join(cache, 'snapshots/main');
    mkdirSync(path.join(snapshot, 'onnx'));
    symlinkSync('../../blobs/abc', path.join(snapshot, 'config.json'));
    symlinkSync('../../../blobs/def', path.join(snapshot, 'onnx/model.onnx'));
    symlinkSync('config.json', path.join(snapshot, 'same.json'));
    const { inputs } = await follow(snapshot);
    expect(Object.fromEntries(inputs.map((input) => [input.path, input.onDisk]))).toEqual({
      'README.md': path.join(snapshot, 'README.md'),
      'config.json': path.join(cache, 'blobs/abc'),
      'onnx/model.onnx': path.join(cache, 'blobs/def'),
      'same.json': path.join(cache, 'blobs/abc'),
    });
    const [[text, named] = []] = warnings.mock.calls;
    expect([warnings.mock.calls.length, named]).toEqual([1, expect.objectContaining({ code: LINKS_OUTSIDE_WARNING })]);
    expect(text).toContain(`onnx/model.onnx -> ${path.join(cache, 'blobs/def')}`);
  });

  it('lead to folders, too; inside the source without a warning', async () => {
    const root = folder('v1/net.onnx', 'v1/vocabulary/words');
    symlinkSync('v1', path.join(root, 'latest'));
    const { inputs } = await follow(root);
    expect(inputs.map((input) => input.path).sort()).toEqual([
      ...['latest/net.onnx', 'latest/vocabulary/words', 'v1/net.onnx', 'v1/vocabulary/words'],
    ]);
    expect(warnings).not.toHaveBeenCalled();
  });

  it.each<[string, (root: string) => void, string, RegExp]>([
    [
      'to a folder that they lie in',
      (root) => symlinkSync('..', path.join(root, 'sub/up')),
      'SOURCE_UNSUPPORTED',
      /sub\/up leads back/,
    ],
    ['in a circle', (root) => symlinkSync('turn', path.join(root, 'turn')), 'SOURCE_UNSUPPORTED', /turn leads to no file/],
    ['nowhere', (root) => symlinkSync('gone', path.join(root, 'lost')), 'NOT_FOUND', /lost leads nowhere/],
    ['to a device', (root) => symlinkSync('/dev/null', path.join(root, 'null')), 'SOURCE_UNSUPPORTED', /is a device/],
    ['to more folders than a source may have', doubling, 'LIMIT_EXCEEDED', /folders/],
  ])('are refused where they lead %s', async (_, make, code, message) => {
    const root = folder('good', 'sub/good');
    make(root);
    expect(await failureOf(() => follow(root))).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

/** Twenty folders, each with two links to the next: a million ways, and not one file at their end. */
function doubling(root: string): void {
  for (let level = 0; level < 20; level += 1) {
    const at = path.join(root, `level-${level}`);
    mkdirSync(at);
    for (const name of ['a', 'b']) symlinkSync(path.join(root, `level-${level + 1}`), path.join(at, name));
  }
  mkdirSync(path.join(root, 'level-20'));
}

describe('a source is refused', () => {
  it.each(refused)('if it is or holds %s', async (_, make, code, message) => {
    const source = await make();
    expect(await failureOf(() => collectSource(source))).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
