/** What may be protected: files and folders, and everything else is refused by name. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { collectSource } from '../src/source.js';
import { failureOf } from './support/failures.js';
import { temporaryFolder } from './support/temp.js';

const base = temporaryFolder('source');
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

  it('of a folder is every file below it, empty folders left out', async () => {
    const root = folder('config.json', 'weights/a.bin', 'weights/deep/b.bin');
    mkdirSync(path.join(root, 'empty/inside'), { recursive: true });
    writeFileSync(path.join(root, 'nothing'), '');
    const { inputs, format } = await collectSource(`${root}/`);
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
    /sub\/link is a symbolic link/,
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

describe('a source is refused', () => {
  it.each(refused)('if it is or holds %s', async (_, make, code, message) => {
    const source = await make();
    expect(await failureOf(() => collectSource(source))).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
