/**
 * The extras that a store may bring along: defaults that are asked for, the newest version, approvals. `guardServer` needs all of
 * it.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type DefaultsOptions,
  inspect,
  load,
  MasterKey,
  ModelGuardError,
  memoryStore,
  type PartStore,
  protect,
  rekey,
  SigningKey,
  verify,
} from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('seam');
const plain = seeded('seam').bytes(50_000);
const file = path.join(base, 'net.onnx');
writeFileSync(file, plain);
const key = MasterKey.generate();
const signer = SigningKey.generate();
const verifier = signer.publicKey;

/** A memory store with more; its own methods know their store. */
function storeWith(more: Partial<PartStore>): PartStore {
  const inner = memoryStore();
  const own = ['getSmall', 'putSmall', 'putBig', 'openBig', 'list', 'collect'] as const;
  const bound = Object.fromEntries(own.map((name) => [name, (inner[name] as (...args: unknown[]) => unknown).bind(inner)]));
  return { ...(bound as unknown as PartStore), ...more };
}

let asked: DefaultsOptions[];
beforeEach(() => {
  asked = [];
});
const asking = storeWith({
  defaults: async (options) => {
    asked.push(options);
    return options.for === 'sealing' ? { recipients: [key] } : { identities: [key], verifier };
  },
  latest: async (name) => ({ name, version: '2' }),
});

describe('defaults that are asked for', () => {
  it('are asked once for each operation, for what it needs', async () => {
    const { signal } = new AbortController();
    await protect(file, { name: 'net', version: '1', to: asking, signer, signal });
    (await load('net@1', { from: asking, signal })).dispose();
    expect(asked).toEqual([
      { for: 'sealing', ref: { name: 'net', version: '1' }, signal },
      { for: 'opening', ref: { name: 'net', version: '1' }, signal },
    ]);
    asked = [];
    await rekey('net@1', { store: asking, signer });
    expect(asked.map((one) => one.for).sort()).toEqual(['opening', 'sealing']);
  });

  it('give way to what the caller says', async () => {
    const other = MasterKey.generate();
    await protect(file, { name: 'mine', version: '1', to: asking, signer, recipients: [other] });
    expect(asked).toEqual([]);
    (await load('mine@1', { from: asking, identities: [other] })).dispose();
    expect((await failureOf(() => load('mine@1', { from: asking }))).code).toBe('NO_MATCHING_IDENTITY');
  });

  it('that fail are told, with a code', async () => {
    const cause = new Error('no network');
    const failing = (error: Error): PartStore => storeWith({ defaults: async () => Promise.reject(error) });
    const protecting = (to: PartStore) => failureOf(() => protect(file, { name: 'net', version: '1', to, signer }));
    expect(await protecting(failing(cause))).toMatchObject({ code: 'IO_FAILED', cause });
    expect((await protecting(failing(new ModelGuardError('SERVER_UNREACHABLE', 'away')))).code).toBe('SERVER_UNREACHABLE');
    expect((await protecting(storeWith({ defaults: async () => ({}) }))).code).toBe('INVALID_ARGUMENT');
  });
});

describe('a store that knows the newest version', () => {
  it('is asked where none is given, everywhere', async () => {
    for (const version of ['1', '2']) await protect(file, { name: 'latest', version, to: asking, signer });
    using model = await load('latest', { from: asking });
    expect(model.metadata.version).toBe('2');
    expect((await inspect({ ref: 'latest', from: asking })).version).toBe('2');
    expect((await verify({ ref: 'latest', from: asking }, { verifier })).info.version).toBe('2');
    expect((await rekey('latest', { store: asking, signer })).ref).toBe('latest@2');
    (await load('latest@1', { from: asking })).dispose();
  });
  it('is not made up where a store does not', async () => {
    const from = memoryStore();
    for (const task of [() => load('net', { from, identities: [key], verifier }), () => inspect({ ref: 'net', from })])
      expect((await failureOf(task)).code).toBe('INVALID_ARGUMENT');
  });
});

describe('a store with approvals', () => {
  it('says how a publication stands; silence means released', async () => {
    const pending = storeWith({ putSmall: async () => ({ state: 'pending' }) });
    const options = { name: 'net', version: '1', recipients: [key], signer };
    expect((await protect(file, { ...options, to: pending })).state).toBe('pending');
    expect((await protect(file, { ...options, to: memoryStore() })).state).toBe('released');
  });
  it('may know what is published without giving it', async () => {
    const blind = (there: boolean): PartStore =>
      storeWith({
        published: async () => (there ? { payloadId: '00'.repeat(16), state: 'pending' } : undefined),
        getSmall: async () => Promise.reject(new ModelGuardError('DEVICE_REVOKED', 'no')),
      });
    const options = { name: 'net', version: '1', recipients: [key], signer };
    await protect(file, { ...options, to: blind(false) });
    expect((await failureOf(() => protect(file, { ...options, to: blind(true) }))).code).toBe('ALREADY_EXISTS');
    expect(
      (
        await failureOf(() =>
          protect(file, { ...options, version: '2', to: storeWith({ published: async () => Promise.reject(new Error('x')) }) }),
        )
      ).code,
    ).toBe('IO_FAILED');
  });
});
