/** Writes to a folder everything that is never overwritten, each twice, and prints the outcomes. */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeAll, writeWhole } from '../../src/files/files.js';
import {
  encryptFile,
  fileStore,
  load,
  MasterKey,
  ModelGuardError,
  memoryStore,
  type PartStore,
  protect,
  splitFile,
} from '../../src/index.js';
import { tell } from './dialogue.js';

const [folder = '', elsewhere = ''] = process.argv.slice(2);
const at = (name: string): string => path.join(folder, name);
const model = path.join(elsewhere, 'net.onnx');
const container = path.join(elsewhere, 'net.mguard');
const key = MasterKey.generate();
const recipients = [key];
writeFileSync(model, new Uint8Array(300_000).fill(7));
await encryptFile(model, container, { recipients, overwrite: true });

async function publish(to: PartStore, more: object = {}): Promise<void> {
  await protect(model, { name: 'net', version: '1', recipients, to, ...more });
  const loaded = await load('net@1', { from: to, identities: recipients, unsigned: 'accept', cache: false });
  loaded.dispose();
}
const attempts: Record<string, () => Promise<unknown>> = {
  'a key': () => key.save(at('master.key')),
  protect: () => publish(fileStore(at('store'))),
  resume: () => publish(memoryStore(), { resume: at('staging') }),
  encrypt: () => encryptFile(model, at('net.mguard'), { recipients }),
  split: () => splitFile(container, { small: at('small'), big: at('big') }),
};
const outcomeOf = (attempt: () => Promise<unknown>): Promise<string> =>
  attempt().then(
    () => 'done',
    (error: unknown) => (error instanceof ModelGuardError ? error.code : `undocumented: ${String(error)}`),
  );
for (const [what, attempt] of Object.entries(attempts)) tell(`${what} ${await outcomeOf(attempt)} ${await outcomeOf(attempt)}`);

// All of them find the name free before one of them takes it.
const writers = ['one', 'two', 'three'].map((text) =>
  writeWhole(at('raced'), (handle) => writeAll(handle, Buffer.from(text)), { overwrite: false }),
);
const won = (await Promise.allSettled(writers)).filter(({ status }) => status === 'fulfilled');
tell(`won ${won.length}`);
const hidden = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => path.basename(name).startsWith('.'));
tell(`left ${hidden.length}`);
