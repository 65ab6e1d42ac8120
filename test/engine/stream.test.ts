/** Files as web streams. If this fails, a pipeline gets other bytes than the model has, or reads on after it was left. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt, type GuardedModel, MasterKey, type StreamOptions } from '../../src/index.js';
import { codeOf, failureOf } from '../support/failures.js';
import { seeded } from '../support/seed.js';

const MIB = 2 ** 20;
const key = MasterKey.generate();
const plain = seeded('stream').bytes(3 * MIB + 5);
const sealed = encrypt(plain, { name: 'net', version: '1', recipients: [key] });
const open = async (): Promise<GuardedModel> => decrypt(await sealed, { identities: [key], unsigned: 'accept' });
const chunksOf = async (model: GuardedModel, options?: StreamOptions): Promise<readonly Uint8Array[]> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of model.stream(options)) chunks.push(chunk);
  return chunks;
};

const USE = `
import { Readable } from 'node:stream';
import type { ModelStream } from '../../src/engine/stream.js';
declare const stream: ModelStream;
Readable.fromWeb(stream);
new Response(stream);
const web: ReadableStream<Uint8Array> = stream;
for await (const chunk of stream) {
  const bytes: Uint8Array = chunk;
  // @ts-expect-error: chunks are no text, and not any
  const text: string = chunk;
}
const { value } = await stream.getReader().read();
const bytes: Uint8Array | undefined = value;
// @ts-expect-error: chunks are no text, and not any
const text: string | undefined = value;
export {};
`;

describe('the type of a stream', () => {
  it.each([
    ['without the DOM', ['lib.es2022.d.ts']],
    ['with the DOM', ['lib.es2022.d.ts', 'lib.dom.d.ts']],
    ["with TypeScript's default libraries", undefined],
  ])('is taken by Node and by the web, and iterates over bytes: %s', { timeout: 300_000 }, (_, lib) => {
    const file = fileURLToPath(new URL('use.mts', import.meta.url));
    const options: ts.CompilerOptions = {
      ...{ strict: true, noEmit: true, skipLibCheck: true, types: ['node'], target: ts.ScriptTarget.ES2022 },
      ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
      ...(lib && { lib }),
    };
    const host = ts.createCompilerHost(options);
    const { fileExists, getSourceFile } = host;
    host.fileExists = (name) => name === file || fileExists(name);
    host.getSourceFile = (name, ...rest) =>
      name === file ? ts.createSourceFile(name, USE, rest[0]) : getSourceFile(name, ...rest);
    const program = ts.createProgram([file], options, host);
    const found = program.getSemanticDiagnostics(program.getSourceFile(file));
    expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))).toEqual([]);
  });
});

describe('stream()', () => {
  it('gives the file in chunks of 1 MiB, and any range of it', async () => {
    await using model = await open();
    expect((await chunksOf(model)).map(({ length }) => length)).toEqual([MIB, MIB, MIB, 5]);
    for (const [offset, length] of [
      [0, plain.length],
      [MIB - 1, 2],
      [7, 2 * MIB],
      [plain.length, 0],
      [3, 0],
    ] as const)
      expect(Buffer.concat(await chunksOf(model, { offset, length })).equals(plain.subarray(offset, offset + length))).toBe(true);
    expect(Buffer.concat(await chunksOf(model, { offset: 9 })).equals(plain.subarray(9))).toBe(true);
  });

  it("is taken by Node's streams", async () => {
    await using model = await open();
    expect((await buffer(Readable.fromWeb(model.stream()))).equals(plain)).toBe(true);
  });

  it('reads a chunk when it is asked for, and none after it was cancelled', async () => {
    const model = await open();
    const reader = model.stream().getReader();
    expect((await reader.read()).value?.length).toBe(MIB);
    await reader.cancel();
    await model[Symbol.asyncDispose]();
  });

  it('ends with DISPOSED, and with the abort of its signal', async () => {
    const model = await open();
    const reading = model.stream().getReader();
    await reading.read();
    model.dispose();
    expect(await codeOf(() => reading.read())).toBe('DISPOSED');

    await using other = await open();
    const ending = new AbortController();
    const reader = other.stream({ signal: ending.signal }).getReader();
    await reader.read();
    ending.abort('enough');
    expect(await failureOf(() => reader.read())).toMatchObject({ name: 'AbortError', cause: 'enough' });
    expect(await codeOf(() => chunksOf(other, { signal: ending.signal }))).toBe('ABORT_ERR');
  });

  it.each([{ offset: -1 }, { offset: plain.length + 1 }, { offset: 1, length: plain.length }, { length: 0.5 }, { more: 1 }])(
    'refuses %o',
    async (options) => {
      await using model = await open();
      expect(await codeOf(() => model.stream(options))).toBe('INVALID_ARGUMENT');
    },
  );
});
