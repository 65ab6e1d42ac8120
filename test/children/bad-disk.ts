/** Writes models to a folder that is full or read-only, and prints what came of each attempt and what was left. */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  encryptFile,
  fileStore,
  MasterKey,
  ModelGuardError,
  memoryStore,
  type PartStore,
  protect,
  splitFile,
} from '../../src/index.js';

const [folder = '', sources = ''] = process.argv.slice(2);
const key = MasterKey.generate();
const model = path.join(sources, 'net.onnx');
writeFileSync(model, new Uint8Array(3_000_000).fill(7));
const recipients = [key];
await encryptFile(model, path.join(sources, 'net.mguard'), { recipients, overwrite: true });

/** Without a local target, the part streams through JavaScript. */
function streaming(store: PartStore): PartStore {
  const { localTarget: _, ...rest } = Object.fromEntries(
    ['getSmall', 'putSmall', 'putBig', 'openBig', 'list', 'collect', 'localTarget'].map((name) => [
      name,
      (...args: unknown[]) => Reflect.apply(Reflect.get(store, name) as () => unknown, store, args),
    ]),
  ) as unknown as PartStore;
  return rest;
}

const named = { name: 'net', version: '1', recipients };
const attempts: Record<string, () => Promise<unknown>> = {
  protect: () => protect(model, { ...named, to: fileStore(folder) }),
  'protect, streaming': () => protect(model, { ...named, to: streaming(fileStore(folder)) }),
  'protect, small part': () =>
    protect(model, { ...named, to: { small: fileStore(folder), big: memoryStore() }, split: { maxBytes: 2 ** 24, ratio: 0.9 } }),
  encrypt: () => encryptFile(model, path.join(folder, 'net.mguard'), { recipients }),
  split: () => splitFile(path.join(sources, 'net.mguard'), { small: path.join(folder, 's'), big: path.join(folder, 'b') }),
};
for (const [what, attempt] of Object.entries(attempts)) {
  const code = await attempt().then(
    () => 'done',
    (error: unknown) => (error instanceof ModelGuardError ? error.code : `undocumented: ${String(error)}`),
  );
  const left = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  process.stdout.write(`${what}: ${code}, ${left.length} left\n`);
}
