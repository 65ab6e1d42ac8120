/** Real models, protected and loaded, predict what they did before; every other file comes back byte for byte. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { fileStore, type GuardedModel, load, type PartStore, protect } from '../../src/index.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { close, feedsFrom, findExamples, identical, noiseFor, run } from '../support/onnx.js';
import { print } from '../support/print.js';
import { Random, seeded } from '../support/seed.js';
import { needShared } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const MINUTES = 300_000;
const folder = temporaryFolder('models');
const random = seeded('models');
let keys: Keyring;
let store: PartStore;
let versions = 0;

beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  store = fileStore(path.join(folder, 'store'));
});

/** Protects a file or folder and loads it again, with the publisher's key pinned. */
async function roundTrip(source: string): Promise<GuardedModel> {
  versions += 1;
  const ref = { name: 'model', version: String(versions) };
  await protect(source, { ...ref, recipients: [keys.device], signer: keys.signing, to: store });
  return load(ref, { from: store, identities: [keys.device], verifier: keys.signing.publicKey });
}

const filesBelow = (root: string): readonly string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(path.join(root, name)).isFile())
    .sort();

describe('models of other people', () => {
  it('that came with inputs predict the same, protected as plain, and what is expected of them', {
    timeout: MINUTES,
  }, async (context) => {
    const models = needShared(context, 'models');
    const examples = findExamples(models);
    for (const { model, inputs, outputs } of examples) {
      const title = path.relative(models, model);
      const plain = await run(Uint8Array.from(readFileSync(model)), (session) => feedsFrom(session, inputs));
      using guarded = await roundTrip(model);
      const guardedResults = await run(guarded.bytes, (session) => feedsFrom(session, inputs));
      expect(identical(plain, guardedResults), `${title} predicts something else once it was protected`).toBe(true);
      expect(close(guardedResults, outputs), `${title} does not predict what its authors expect`).toBe(true);
    }
    print(
      `models: ${examples.length} of ${examples.length} ONNX models with inputs predict the same, and as expected within 1e-3`,
    );
    expect(examples.length, 'no example was found').toBeGreaterThan(0);
  });

  it('that came without inputs predict the same on seeded noise', { timeout: MINUTES }, async (context) => {
    const models = needShared(context, 'models', 'onnx-real');
    const files = filesBelow(models).filter((name) => name.endsWith('.onnx'));
    const ran: string[] = [];
    for (const name of files) {
      const file = path.join(models, name);
      const noise = (session: InferenceSession) => noiseFor(session, new Random(random.seed));
      const plain = await run(Uint8Array.from(readFileSync(file)), noise);
      using guarded = await roundTrip(file);
      const protectedRun = await run(guarded.bytes, noise);
      expect(identical(plain, protectedRun), `${name} predicts something else once it was protected`).toBe(true);
      ran.push(path.basename(name));
    }
    print(`models: ${ran.length} of ${files.length} real ONNX models run on noise and predict the same (${ran.join(', ')})`);
    expect(ran.length, 'no model ran').toBeGreaterThan(0);
  });

  it('come back byte for byte, each by itself, the malformed ones too', { timeout: MINUTES }, async (context) => {
    const models = needShared(context, 'models');
    const files = filesBelow(models);
    for (const name of files) {
      const plain = readFileSync(path.join(models, name));
      using guarded = await roundTrip(path.join(models, name));
      expect(Buffer.compare(guarded.bytes, plain), `${name} came back changed`).toBe(0);
    }
    print(`models: ${files.length} of ${files.length} files came back byte for byte`);
    expect(files.length).toBeGreaterThan(0);
  });

  it('come back byte for byte as one folder', { timeout: MINUTES }, async (context) => {
    const models = needShared(context, 'models');
    const files = filesBelow(models);
    using guarded = await roundTrip(models);
    expect([...guarded.files.keys()].sort()).toEqual([...files]);
    for (const name of files) {
      const bytes = guarded.files.get(name)?.bytes ?? new Uint8Array(0);
      expect(Buffer.compare(bytes, readFileSync(path.join(models, name))), `${name} came back changed`).toBe(0);
    }
    print(`models: a folder of ${files.length} files came back byte for byte`);
  });
});
