/**
 * Artifacts that a runtime derives from a model. If these fail, an engine lies on disk in the clear, opens without its model or on another
 * machine, or is taken for that of another runtime; or it is made again each time.
 */
import { existsSync, readdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type Artifact,
  decrypt,
  decryptFile,
  encrypt,
  fileStore,
  inspect,
  load,
  MasterKey,
  protect,
  rekey,
} from '../../src/index.js';
import { decrypt as decryptLegacy, encrypt as encryptLegacy, LegacyKey } from '../../src/legacy/index.js';
import { codeOf } from '../support/failures.js';
import { useMachine } from '../support/machine-addon.js';
import { type MachineTree, machineTree } from '../support/machine-tree.js';
import { close, noiseFor, OPTIMISED, optimise, type Results, run } from '../support/onnx.js';
import { Random, seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';
import type { PlainTensor } from '../support/tensor-proto.js';

const MACHINE = 'bare-metal-nvme-nvidia';
useMachine(await machineTree(MACHINE).write());
const artifact: Artifact = { name: 'net.engine', runtime: 'a runtime 1.0' };
const base = temporaryFolder('derived');
const engine = Buffer.from(seeded('derived').bytes(3_000_001));
const key = MasterKey.generate();
const identities = [key];
const store = fileStore(path.join(base, 'store'));

writeFileSync(path.join(base, 'net'), 'the model');
await protect(path.join(base, 'net'), { name: 'net', version: '1', recipients: identities, to: store });
const container = await encrypt(Buffer.from('the model'), { recipients: identities, name: 'net', version: '1' });

let folders = 0;
const newFolder = (): string => path.join(base, `cache-${folders++}`);
const entriesIn = (folder: string): string => path.join(folder, 'big-parts/v1');
const filesIn = (folder: string): string[] =>
  existsSync(entriesIn(folder)) ? readdirSync(entriesIn(folder)).map((name) => path.join(entriesIn(folder), name)) : [];

const open = () => load('net@1', { from: store, identities, unsigned: 'accept' });

/** Loads the model, and derives from it in `folder`. */
async function derive(folder: string | false | undefined, asked = artifact, from = open) {
  using model = await from();
  const make = vi.fn((target: string) => writeFileSync(target, engine));
  const cache = folder === undefined ? {} : { cache: folder === false ? (false as const) : { folder } };
  using derived = await model.derived(asked, make, cache);
  expect(engine.equals(derived.bytes), 'the artifact as it was made').toBe(true);
  expect(engine.equals(readFileSync(derived.path()))).toBe(true);
  expect(derived.metadata).toEqual({ ...asked, payloadId: model.metadata.payloadId, made: make.mock.calls.length === 1 });
  expect(derived.protection).toMatchObject({ dontdump: true, memfd: true });
  return derived.metadata.made;
}

const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
afterEach(() => {
  warnings.mockClear();
});

describe('an artifact', () => {
  it('is made once, and opened from then on', async () => {
    const folder = newFolder();
    expect([await derive(folder), await derive(folder), await derive(folder)]).toEqual([true, false, false]);
    expect(warnings).not.toHaveBeenCalled();
  });

  it('is kept sealed: no piece of it lies in the file, and no other key opens it, not even that of its model', async () => {
    const folder = newFolder();
    await derive(folder);
    const [file] = filesIn(folder) as [string];
    const kept = readFileSync(file);
    for (let at = 0; at + 16 <= engine.length; at += 65_536) expect(kept.includes(engine.subarray(at, at + 16))).toBe(false);
    expect(kept.includes(artifact.name) || kept.includes(artifact.runtime)).toBe(false);
    // Nor does it tell of which model it is.
    expect(await inspect(file)).toMatchObject({ name: 'derived', version: '0', format: 'unknown' });
    expect(await codeOf(() => decryptFile(file, { identities, unsigned: 'accept' }))).toBe('NO_MATCHING_IDENTITY');
  });

  it('is that of one runtime and one name', async () => {
    const folder = newFolder();
    const others = [artifact, { ...artifact, runtime: 'a runtime 1.1' }, { ...artifact, name: 'other.engine' }];
    for (const one of others) expect(await derive(folder, one)).toBe(true);
    for (const one of others) expect(await derive(folder, one)).toBe(false);
    expect(filesIn(folder)).toHaveLength(3);
  });

  it('is that of one encryption of the model', async () => {
    const folder = newFolder();
    const rekeyed = fileStore(path.join(base, 'rekeyed'));
    await protect(path.join(base, 'net'), { name: 'net', version: '1', recipients: identities, to: rekeyed });
    const from = () => load('net@1', { from: rekeyed, identities, unsigned: 'accept' });
    expect([await derive(folder, artifact, from), await derive(folder, artifact, from)]).toEqual([true, false]);
    await rekey('net@1', { store: rekeyed, identities, unsigned: 'accept', recipients: identities });
    expect(await derive(folder, artifact, from)).toBe(true);
  });

  it.each<[string, (tree: MachineTree) => MachineTree]>([
    ['another graphics card', (tree) => tree.edit('other-gpu')],
    ['another processor', (tree) => tree.edit('other-cpu')],
    ['other memory', (tree) => tree.edit('other-memory')],
    ['another drive', (tree) => tree.edit('other-drive')],
  ])('is made again on a machine with %s, beside that of the first, without a warning', async (_, change) => {
    const folder = newFolder();
    expect(await derive(folder)).toBe(true);
    useMachine(await change(machineTree(MACHINE)).write());
    try {
      expect([await derive(folder), await derive(folder)]).toEqual([true, false]);
      expect(warnings).not.toHaveBeenCalled();
    } finally {
      useMachine(await machineTree(MACHINE).write());
    }
    expect(await derive(folder), 'a folder that two machines share').toBe(false);
  });

  it('under the name of another is not taken for it', async () => {
    const folder = newFolder();
    await derive(folder);
    const [first] = filesIn(folder) as [string];
    const kept = readFileSync(first);
    await derive(folder, { ...artifact, runtime: 'a runtime 1.1' });
    for (const file of filesIn(folder)) if (file !== first) writeFileSync(file, kept);
    expect(await derive(folder, { ...artifact, runtime: 'a runtime 1.1' })).toBe(true);
    expect(await derive(folder)).toBe(false);
  });

  it('that is changed anywhere, cut or emptied is made again, with a warning', async () => {
    const folder = newFolder();
    await derive(folder);
    const [file] = filesIn(folder) as [string];
    const kept = readFileSync(file);
    const flipped = [0, 30, 700, kept.length >> 1, kept.length - 1].map((at) => {
      const changed = Buffer.from(kept);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      return changed;
    });
    for (const bytes of [...flipped, kept.subarray(0, 900), kept.subarray(0, -1), Buffer.alloc(0), Buffer.concat([kept, kept])]) {
      writeFileSync(file, bytes);
      expect(await derive(folder)).toBe(true);
      expect(await derive(folder)).toBe(false);
    }
    expect(warnings).toHaveBeenCalledWith(
      expect.stringMatching(/does not open \(INTEGRITY_FAILED\); the artifact is made again/),
      {
        type: 'ModelGuardWarning',
        code: 'MODEL_GUARD_CACHE_UNUSED',
      },
    );
  });

  it('is made again where the caller asks for it, and replaces what was kept', async () => {
    using model = await open();
    const cache = { folder: newFolder() };
    for (const [content, remake, made, expected] of [
      ['first', false, true, 'first'],
      ['second', true, true, 'second'],
      ['third', false, false, 'second'],
    ] as const) {
      using derived = await model.derived(artifact, (target) => writeFileSync(target, content), { cache, remake });
      expect([derived.metadata.made, Buffer.from(derived.bytes).toString()]).toEqual([made, expected]);
    }
    expect(filesIn(cache.folder)).toHaveLength(1);
  });

  it('lies in the cache of the load that gave its model, unless the call names another', async () => {
    const folder = newFolder();
    const from = (cache: { folder: string } | false) => () =>
      load('net@1', { from: store, identities, unsigned: 'accept', cache });
    expect([await derive(undefined, artifact, from({ folder })), await derive(undefined, artifact, from({ folder }))]).toEqual([
      true,
      false,
    ]);
    expect(filesIn(folder)).toHaveLength(1);
    vi.stubEnv('XDG_CACHE_HOME', newFolder());
    expect([await derive(undefined, artifact, from(false)), await derive(undefined, artifact, from(false))]).toEqual([
      true,
      true,
    ]);
    expect(existsSync(path.join(process.env.XDG_CACHE_HOME as string, 'model-guard'))).toBe(false);
    vi.unstubAllEnvs();
  });

  it('is kept nowhere where the caller says so, and made where it cannot be kept', async () => {
    expect([await derive(false), await derive(false)]).toEqual([true, true]);
    const file = path.join(base, 'a-file');
    writeFileSync(file, '');
    expect([await derive(file), await derive(file)]).toEqual([true, true]);
    expect(warnings).toHaveBeenCalledWith(expect.stringContaining('is not a folder'), expect.anything());
  });

  it('comes from each kind of model that was opened with a key', async () => {
    const folder = newFolder();
    const file = path.join(base, 'net.mguard');
    writeFileSync(file, container);
    const options = { identities, unsigned: 'accept' } as const;
    expect(await derive(folder, artifact, () => decrypt(container, options))).toBe(true);
    expect(await derive(folder, artifact, () => decryptFile(file, { ...options, as: 'path' }))).toBe(false);
    expect(await derive(folder, artifact, () => load('net@1', { from: store, ...options, lazy: true }))).toBe(true);
  });

  it('outlives its model', async () => {
    const model = await open();
    using derived = await model.derived(artifact, (target) => writeFileSync(target, engine), { cache: false });
    model.dispose();
    expect(engine.equals(derived.bytes)).toBe(true);
  });
});

describe('making', () => {
  it('takes a file name with its extension, in a folder where nothing else can be written', async () => {
    using model = await open();
    const make = (target: string): void => {
      expect(path.basename(target)).toBe(artifact.name);
      writeFileSync(target, 'first, and longer');
      writeFileSync(target, 'second');
    };
    using derived = await model.derived(artifact, make, { cache: false });
    expect(Buffer.from(derived.bytes).toString()).toBe('second');
  });

  it('that fails fails the call with its own error, and leaves neither folder, descriptor nor entry', async () => {
    using model = await open();
    const folder = newFolder();
    const descriptors = readdirSync('/proc/self/fd').length;
    let target = '';
    const failing = model.derived(
      artifact,
      async (given) => {
        target = given;
        writeFileSync(given, engine);
        throw new RangeError('no such GPU');
      },
      { cache: { folder } },
    );
    await expect(failing).rejects.toThrow(new RangeError('no such GPU'));
    expect(existsSync(path.dirname(target))).toBe(false);
    expect(readdirSync('/proc/self/fd')).toHaveLength(descriptors);
    expect(filesIn(folder)).toEqual([]);
  });

  it('that writes nothing is refused', async () => {
    using model = await open();
    expect(await codeOf(() => model.derived(artifact, () => undefined, { cache: false }))).toBe('SOURCE_EMPTY');
  });

  // Root writes where the mode of the folder keeps others from it; then as an error of the maker.
  it.each<[string, (target: string) => void]>([
    ['beside the path', (target) => writeFileSync(`${target}.data`, engine)],
    [
      'a file that it renames',
      (target) => {
        writeFileSync(`${target}.new`, engine);
        renameSync(`${target}.new`, target);
      },
    ],
  ])('that writes %s is refused, and leaves nothing', async (_, write) => {
    using model = await open();
    const folder = newFolder();
    let target = '';
    const making = model.derived(
      artifact,
      (given) => {
        target = given;
        writeFileSync(given, engine);
        write(given);
      },
      { cache: { folder } },
    );
    if (process.getuid?.() === 0) expect(await codeOf(() => making)).toBe('SOURCE_UNSUPPORTED');
    else await expect(making).rejects.toMatchObject({ code: 'EACCES' });
    expect(statfsSync(path.dirname(path.dirname(target))).type, 'not on a disk').toBe(0x01021994);
    expect(existsSync(path.dirname(target))).toBe(false);
    expect(filesIn(folder)).toEqual([]);
  });

  it('has the model until it is done, also after its dispose()', async () => {
    const model = await open();
    const make = async (target: string): Promise<void> => {
      const { bytes } = model;
      model.dispose();
      await new Promise((resolve) => setImmediate(resolve));
      writeFileSync(target, bytes);
      expect(Buffer.from(bytes).toString()).toBe('the model');
    };
    using derived = await model.derived(artifact, make, { cache: false });
    expect(Buffer.from(derived.bytes).toString()).toBe('the model');
    expect(() => model.bytes).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });

  it('ends with its signal, whatever the maker does', async () => {
    using model = await open();
    const controller = new AbortController();
    const never = model.derived(
      artifact,
      () => {
        controller.abort();
        return new Promise(() => {});
      },
      { signal: controller.signal, cache: false },
    );
    expect(await codeOf(() => never)).toBe('ABORT_ERR');
    const make = vi.fn();
    expect(await codeOf(() => model.derived(artifact, make, { signal: controller.signal }))).toBe('ABORT_ERR');
    expect(make).not.toHaveBeenCalled();
  });

  it('is refused for what has no key to follow from, for names that are none, and after dispose', async () => {
    const make = (target: string): void => writeFileSync(target, engine);
    const model = await open();
    using derived = await model.derived(artifact, make, { cache: false });
    expect(await codeOf(() => derived.derived(artifact, make))).toBe('INVALID_ARGUMENT');
    const legacyKey = await LegacyKey.fromKeyString({ text: 'a key string of thirty-two bytes' });
    using legacy = await decryptLegacy(await encryptLegacy(Buffer.from('old'), { key: legacyKey }), { key: legacyKey });
    expect(await codeOf(() => legacy.derived(artifact, make))).toBe('INVALID_ARGUMENT');
    const wrong: [unknown, string][] = [
      [{ ...artifact, name: '' }, 'NAME_INVALID'],
      [{ ...artifact, name: 'a/b' }, 'INVALID_ARGUMENT'],
      [{ ...artifact, name: '..' }, 'NAME_INVALID'],
      [{ ...artifact, runtime: '' }, 'INVALID_ARGUMENT'],
      [{ ...artifact, runtime: 'x'.repeat(1025) }, 'INVALID_ARGUMENT'],
      [{ ...artifact, gpu: 0 }, 'INVALID_ARGUMENT'],
    ];
    for (const [asked, code] of wrong) expect(await codeOf(() => model.derived(asked as Artifact, make))).toBe(code);
    expect(await codeOf(() => model.derived(artifact, 'path' as never))).toBe('INVALID_ARGUMENT');
    model.dispose();
    expect(await codeOf(() => model.derived(artifact, make))).toBe('DISPOSED');
  });
});

describe('onnxruntime', () => {
  const plain = Uint8Array.from(readFileSync(new URL('../../examples/bearing-faults/model.onnx', import.meta.url)));
  const signal = (session: InferenceSession) => noiseFor(session, new Random(7));
  const guarded = async () => decrypt(await sealed, { identities, unsigned: 'accept' });
  const sealed = encrypt(plain, { recipients: identities });
  const closeTo = (expected: Results, results: Results): boolean =>
    close(
      results,
      [...expected].map(([name, { type, data, dims }]) => ({ name, type, data, dims }) as PlainTensor),
    );

  it('computes the same with the optimised model that was kept', async () => {
    const expected = await run(plain, signal);
    const cache = { folder: newFolder() };
    const optimised = { name: 'model.onnx', runtime: 'onnxruntime-node, all optimisations' };
    for (const made of [true, false]) {
      using model = await guarded();
      using derived = await model.derived(optimised, (target) => optimise(model.bytes, target), { cache });
      expect(derived.metadata.made).toBe(made);
      expect(closeTo(expected, await run(derived.bytes, signal, OPTIMISED))).toBe(true);
    }
  });

  it('does so by the recipe of the documentation, in the cache of load', async () => {
    const page = readFileSync(new URL('../../docs/runtimes.md', import.meta.url), 'utf8');
    const [, block = ''] = /## Artifacts that a runtime builds.*?```js\n(.*?)```/s.exec(page) ?? [];
    const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
    const recipe = AsyncFunction('model', 'InferenceSession', 'version', `${block}\nreturn session;`);
    vi.stubEnv('XDG_CACHE_HOME', newFolder());
    for (let call = 0; call < 2; call++) {
      const session: InferenceSession = await recipe(await guarded(), InferenceSession, '1.0');
      const results = await session.run(signal(session));
      const expected = await run(plain, signal);
      expect(closeTo(expected, new Map(Object.entries(results) as [string, Tensor][]))).toBe(true);
      await session.release();
    }
    expect(filesIn(path.join(process.env.XDG_CACHE_HOME as string, 'model-guard'))).toHaveLength(1);
    vi.unstubAllEnvs();
  });
});
