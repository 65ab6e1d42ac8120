/** Protects files as a model, loads it with a verifier, and removes what lay on the disk. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DeviceKey, type GuardedModel, type LoadOptions, load, memoryStore, protect, SigningKey } from '@org/model-guard';
import { temporaryFolder } from '../support/temp.js';

/** One file becomes a model of one file, several a folder. */
export async function protectedModel(
  files: Readonly<Record<string, Uint8Array>>,
  options: Pick<LoadOptions, 'as' | 'lazy'> = {},
): Promise<GuardedModel> {
  const folder = temporaryFolder();
  for (const [name, bytes] of Object.entries(files)) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  const names = Object.keys(files);
  const source = names.length === 1 ? path.join(folder, names[0] as string) : folder;
  const [device, publisher, store] = [DeviceKey.generate(), SigningKey.generate(), memoryStore()];
  await protect(source, { name: 'tiny', version: '1', recipients: [device], signer: publisher, to: store });
  rmSync(folder, { recursive: true });
  return await load('tiny@1', { from: store, identities: [device], verifier: publisher.publicKey, ...options });
}
