/**
 * The demo: a trained model is published through a guard server, released, leased to one machine, used there, and revoked; then four
 * attackers try their luck with what they found.
 *
 *   npm run demo
 *
 * Ends with status 1 if anything is not as it should be, above all if a refusal does not refuse.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceKey, fileStore, type GuardedModel, load, protect, SigningKey } from '../../src/index.js';
import { accuracy, classify, confusion, maxAbsDifference, openSession } from './evaluate.js';
import { startGuard } from './guard.js';
import { comparison, namesIn, piecesOf } from './look.js';
import { codeOf, refusals, type Scene } from './refusals.js';
import { classes, type Dataset, heldOutCount, heldOutSeed, simulate } from './simulate.js';

const modelPath = fileURLToPath(new URL('model.onnx', import.meta.url));
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
const failures: string[] = [];

function expect(fact: boolean, what: string): void {
  if (!fact) failures.push(what);
}

async function refused(what: string, code: string, attempt: Promise<unknown>): Promise<void> {
  const found = await codeOf(attempt);
  console.log(`  ${what.padEnd(60)} ${found}`);
  expect(found === code, `${what}: expected ${code}, not ${found}`);
}

function filesUnder(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Nothing that lies under `folder` shows a piece of the model. */
function expectNothingOf(plain: Uint8Array, folder: string): void {
  for (const file of filesUnder(folder)) {
    const stored = readFileSync(file);
    expect(namesIn(stored).length === 0 && piecesOf(plain, stored) === 0, `${file} shows something of the model`);
  }
}

/** The loaded model answers as the plain one does. */
async function compare(model: GuardedModel, plain: Uint8Array, heldOut: Dataset): Promise<void> {
  const { bytes } = model;
  expect(Buffer.compare(bytes, plain) === 0, 'the loaded bytes differ from the plain model');
  const guarded = await openSession(bytes);
  model.dispose(); // the runtime has its own copy by now
  expect(
    bytes.every((byte) => byte === 0),
    'dispose() left the bytes within reach',
  );
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
}

/** Start, enrol, approve, publish, release, lease, load, infer, revoke, refused. */
async function throughTheServer(folder: string, plain: Uint8Array, heldOut: Dataset): Promise<void> {
  const guard = await startGuard(folder);
  try {
    const { admin } = guard;
    console.log(
      `A guard server runs at ${guard.url}. Its administrator makes an account for the build machine, and one for the line.`,
    );
    const builder = await guard.account('build@example.com', 'operator');
    const line = await guard.account('line-4@example.com', 'companion');
    const publisher = SigningKey.generate(); // on the build machine
    const device = DeviceKey.generate(); // on the machine that we do not own
    const build = guard.client(builder);
    const machine = guard.client(line, { device, publishers: publisher.publicKey });

    const enrolled = await machine.enroll('line 4');
    console.log(`The machine is enrolled. It prints ${enrolled.fingerprint}`);
    await admin.publishers.set('bearing-faults', [publisher.publicKey]);
    await admin.entitlements.create({ name: 'bearing-faults', account: line.id, seats: 1 });
    const published = await protect(modelPath, { name: 'bearing-faults', version: '1', to: build, signer: publisher });
    console.log(`${published.ref} is encrypted to the server, signed by us, uploaded, and ${published.state}.`);

    const attempt = (): Promise<GuardedModel> => load('bearing-faults@1', { from: machine, cache: false });
    await refused('the machine asks before it is approved', 'DEVICE_NOT_APPROVED', attempt());
    await admin.devices.approve(enrolled.device.id, enrolled.fingerprint);
    await refused('it asks before the model is released', 'NOT_RELEASED', attempt());
    await refused(
      'the build machine releases it itself',
      'NOT_AUTHORISED',
      build.release('bearing-faults@1', { payloadId: published.payloadId }),
    );
    // The decision names the reviewed payload: the version may have been replaced since.
    await admin.release('bearing-faults@1', { payloadId: published.payloadId });

    const lease = await machine.lease('bearing-faults@1');
    const hours = (until: number): string => `${Math.round((until - Date.now() / 1000) / 360) / 10} h`;
    console.log(
      `Approved and released: a lease for ${hours(lease.notAfter)}, of which ${hours(lease.offlineUntil)} without the server.`,
    );
    const model = await attempt();
    const achieved = Object.entries(model.protection).flatMap(([name, on]) => (on === true ? [name] : []));
    console.log(`Loaded into native memory (${achieved.join(', ') || 'no locking here'}).`);
    await compare(model, plain, heldOut);
    expectNothingOf(plain, folder);
    console.log("Neither the server's folder nor the machine's holds a piece of it.");

    const second = guard.client(line, { device: DeviceKey.generate(), publishers: publisher.publicKey });
    const other = await second.enroll('somewhere else');
    await admin.devices.approve(other.device.id, other.fingerprint);
    await refused('a second machine asks, and there is one seat', 'SEATS_TAKEN', load('bearing-faults', { from: second }));
    await admin.devices.revoke(enrolled.device.id);
    await refused('the machine is revoked, and asks again', 'DEVICE_REVOKED', attempt());
  } finally {
    await guard.stop();
  }
}

/** What lies about once a model is protected, and four who found it. */
async function attacked(folder: string, plain: Uint8Array, heldOut: Dataset): Promise<void> {
  const device = DeviceKey.generate();
  const publisher = SigningKey.generate();
  const store = join(folder, 'store');
  const to = fileStore(store);
  await protect(modelPath, { name: 'bearing-faults', version: '1', recipients: [device.publicKey], signer: publisher, to });
  const small = readFileSync(join(store, 'small', 'bearing-faults', '1'));
  const bigFolder = join(store, 'big');
  const bigName = readdirSync(bigFolder).filter((name) => !name.endsWith('.tree'))[0] ?? '';
  const big = readFileSync(join(bigFolder, bigName));
  console.log('What the parts show to anyone without a key:');
  console.log(comparison(plain, { 'plain model': plain, 'small part': small, 'big part': big }).join('\n'));

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
  console.log('A classifier of bearing faults, trained on simulated vibration, goes to a machine that we do not own.');
  const plain = readFileSync(modelPath);
  const heldOut = simulate(heldOutSeed, heldOutCount);
  for (const [name, tell] of Object.entries({ throughTheServer, attacked })) {
    const place = join(folder, name);
    mkdirSync(place);
    await tell(place, plain, heldOut);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
expect(!existsSync(folder), `${folder} is still there`);
if (failures.length === 0) {
  console.log('All refusals came as expected, and everything temporary is gone.');
} else {
  for (const failure of failures) console.error(`FAILED: ${failure}`);
  process.exitCode = 1;
}
