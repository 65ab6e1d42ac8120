/**
 * The demo: a trained model is protected, looked at, loaded and used; then four attackers try their luck.
 *
 *   npm run demo
 *
 * Ends with status 1 if anything is not as it should be, above all if a refusal does not refuse.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceKey, fileStore, load, protect, SigningKey } from '../../src/index.js';
import { accuracy, classify, confusion, maxAbsDifference, openSession } from './evaluate.js';
import { comparison, namesIn, piecesOf } from './look.js';
import { refusals, type Scene } from './refusals.js';
import { classes, heldOutCount, heldOutSeed, simulate } from './simulate.js';

const modelPath = fileURLToPath(new URL('model.onnx', import.meta.url));
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
const failures: string[] = [];

function expect(fact: boolean, what: string): void {
  if (!fact) failures.push(what);
}

function filesUnder(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function story(folder: string): Promise<void> {
  const plain = readFileSync(modelPath);
  console.log('A classifier of bearing faults, trained on simulated vibration, goes to a machine that we do not own.');

  const device = DeviceKey.generate(); // that machine's key
  const publisher = SigningKey.generate(); // ours
  const store = join(folder, 'store');
  const published = await protect(modelPath, {
    name: 'bearing-faults',
    version: '1',
    recipients: [device.publicKey],
    signer: publisher,
    to: fileStore(store),
  });
  const small = readFileSync(join(store, 'small', 'bearing-faults', '1'));
  const bigFolder = join(store, 'big');
  const bigName = readdirSync(bigFolder).filter((name) => !name.endsWith('.tree'))[0] ?? '';
  const big = readFileSync(join(bigFolder, bigName));
  console.log(`Encrypted to its key, signed by us and split, ${published.ref} shows to anyone without a key:`);
  const table = comparison(plain, { 'plain model': plain, 'small part': small, 'big part': big });
  console.log(table.join('\n'));

  const model = await load('bearing-faults@1', {
    from: fileStore(store),
    identities: [device],
    verifier: publisher.publicKey,
  });
  const { bytes, protection } = model;
  expect(Buffer.compare(bytes, plain) === 0, 'the loaded bytes differ from the plain model');
  for (const file of filesUnder(folder)) {
    const stored = readFileSync(file);
    expect(namesIn(stored).length === 0 && piecesOf(plain, stored) === 0, `${file} shows something of the model`);
  }
  const achieved = Object.entries(protection).flatMap(([name, on]) => (on === true ? [name] : []));
  console.log(`Loaded into native memory (${achieved.join(', ') || 'no locking here'}); the store still holds no piece of it.`);

  const heldOut = simulate(heldOutSeed, heldOutCount);
  const guarded = await openSession(bytes);
  model.dispose(); // the runtime has its own copy by now
  expect(bytes.length === 0, 'dispose() left the bytes within reach');
  const expected = await classify(await openSession(plain), heldOut);
  const answers = await classify(guarded, heldOut);
  const difference = maxAbsDifference(expected, answers);
  const [right, rightGuarded] = [expected, answers].map((p) => accuracy(confusion(p, heldOut.labels)));
  console.log(
    `On ${heldOutCount} held-out windows (simulated, ${classes.length} classes, chance ${percent(1 / classes.length)}):`,
  );
  console.log(`  plain model ${percent(right)} right, protected ${percent(rightGuarded)}, largest difference ${difference}`);
  expect(difference === 0, 'the protected model answers differently');
  expect(right > 0.9, 'the model is not as good as it should be');

  console.log('Then four attackers come:');
  const scene: Scene = { folder, store, bigName, plain, device, publisher, heldOut };
  for (const refusal of refusals) {
    const { codes, aside } = await refusal.run(scene);
    console.log(`  ${refusal.who.padEnd(60)} ${codes.join(', ')}${aside ? ` (${aside})` : ''}`);
    expect(codes.join() === refusal.expected.join(), `${refusal.who}: expected ${refusal.expected.join(', ')}`);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'model-guard-demo-'));
try {
  await story(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
expect(!existsSync(folder), `${folder} is still there`);
if (failures.length === 0) {
  console.log('All four were refused, and everything temporary is gone.');
} else {
  for (const failure of failures) console.error(`FAILED: ${failure}`);
  process.exitCode = 1;
}
