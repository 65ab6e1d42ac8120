/** Servers that are killed again and again, and the clients that use them meanwhile. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AuditCheckpoint,
  DeviceKey,
  encryptFile,
  type GuardServer,
  type GuardServerOptions,
  MasterKey,
  SigningKey,
} from '@org/model-guard';
import { guardServerWithHooks } from '../../../../src/remote/guard-server.js';
import type { Random } from '../../../../test/support/seed.js';
import type { KnownSecrets } from '../secrets-in-logs.js';
import { freePort, ServerProcess } from '../server-process.js';
import { Gate } from './gate.js';
import { Journal } from './journal.js';

export const NAMES = ['net-0', 'net-1', 'net-2'] as const;
/** In a world of one server. */
const SEATS = 2;
const DEVICES = 3;

export interface Bench {
  readonly id: string;
  readonly key: DeviceKey;
}
export interface Account {
  readonly id: string;
  readonly email: string;
  readonly password: string;
}
export interface World {
  readonly url: string;
  /** The server's data and all that clients keep. */
  readonly folder: string;
  /** Of each model, for the devices of the lab. */
  readonly seats: number;
  readonly gate: Gate;
  readonly journal: Journal;
  readonly random: Random;
  readonly secrets: KnownSecrets;
  readonly signer: SigningKey;
  /** Devices of the lab. */
  readonly benches: readonly Bench[];
  /** Root rotates, the uploader publishes, the decider is an admin, the auditor reads while no other client runs. */
  readonly accounts: Readonly<Record<'root' | 'uploader' | 'decider' | 'lab' | 'auditor', Account>>;
  /** The auditor's device and client. */
  readonly auditor: { readonly id: string; readonly guard: GuardServer };
  readonly archive: { readonly file: string; readonly plain: Uint8Array; readonly key: MasterKey };
  readonly checkpoints: AuditCheckpoint[];
  readonly auditKey: string;
  /** The client of a worker, which waits while the server is away. */
  client(worker: string, account: Account, options?: Partial<GuardServerOptions>): GuardServer;
}

/** One with a server of its own. */
export async function makeWorld(
  command: string,
  folder: string,
  random: Random,
  secrets: KnownSecrets,
): Promise<World & { readonly process: ServerProcess }> {
  const limits = ['address', 'account', 'login'].flatMap((what) => [`--${what}-limit`, '1000000000']);
  const port = await freePort(random);
  const words = ['--data', join(folder, 'data'), '--port', `${port}`, '--log-level', 'trace', ...limits];
  const process = new ServerProcess(command, words);
  const { url, signing_key: serverKey } = await process.start();
  const world = await populate({ url, serverKey, folder, random, secrets, devices: DEVICES, seats: SEATS });
  return { ...world, process };
}

/** The inputs of {@link populate}. */
export interface Place extends Pick<World, 'url' | 'folder' | 'random' | 'secrets' | 'seats'> {
  readonly serverKey: string;
  /** Of the lab. */
  readonly devices: number;
  /** Of the journal. */
  readonly lenient?: boolean;
}

/** Accounts, devices and entitlements at a server that has just started for the first time, its data in `data` of the folder. */
export async function populate({ url, serverKey, folder, random, secrets, devices, seats, lenient }: Place): Promise<World> {
  const gate = new Gate();
  const journal = new Journal(gate, lenient);
  const state = join(folder, 'state');
  const clientOf = (account: Omit<Account, 'id'>, sleep: () => Promise<void>, more: Partial<GuardServerOptions>): GuardServer => {
    const { email, password } = account;
    const options = { url, serverKey, credentials: () => ({ email, password }), state, ...more };
    return guardServerWithHooks(options, { pace: { random: () => 0, sleep } });
  };
  const atOnce = (account: Omit<Account, 'id'>, more: Partial<GuardServerOptions> = {}): GuardServer =>
    clientOf(account, async () => undefined, more);
  const password = (): string => {
    const made = randomBytes(18).toString('base64url');
    secrets.text('a password', made);
    return made;
  };
  const chooseOwn = async (account: Account): Promise<Account> => {
    const own = { ...account, password: password() };
    await atOnce(account).account.changePassword(account.password, own.password);
    return own;
  };
  const first = readFileSync(join(folder, 'data', 'admin-password.txt'), 'utf8').trim();
  secrets.text('the first password', first);
  const root = await chooseOwn({ id: '', email: 'admin@localhost', password: first });
  const account = async (email: string, role: 'operator' | 'admin'): Promise<Account> => {
    const initial = { email, password: password() };
    const { id } = await atOnce(root).users.create({ ...initial, role });
    return chooseOwn({ id, ...initial });
  };
  const signer = SigningKey.generate();
  const accounts = {
    root,
    uploader: await account('uploader@example.com', 'operator'),
    decider: await account('decider@example.com', 'admin'),
    lab: await account('lab@example.com', 'operator'),
    auditor: await account('auditor@example.com', 'admin'),
  };
  const decider = atOnce(accounts.decider);
  const enrolled = async (owner: Account): Promise<Bench> => {
    const key = DeviceKey.generate();
    const { device, fingerprint } = await atOnce(owner, { device: key }).enroll('a bench');
    await decider.devices.approve(device.id, fingerprint);
    return { id: device.id, key };
  };
  for (const name of NAMES) {
    await decider.publishers.set(name, [signer.publicKey]);
    await decider.entitlements.create({ name, account: accounts.lab.id, seats });
    await decider.entitlements.create({ name, account: accounts.auditor.id, seats: 1000 });
  }
  const benches: Bench[] = [];
  for (let n = 0; n < devices; n++) benches.push(await enrolled(accounts.lab));
  const { id, key } = await enrolled(accounts.auditor);
  // It looks at whatever is released, in any order.
  const guard = atOnce(accounts.auditor, { device: key, publishers: signer.publicKey, rollback: 'accept' });
  mkdirSync(join(folder, 'models'));
  return {
    ...{ url, folder, seats, gate, journal, random, secrets, signer, accounts, benches, auditor: { id, guard } },
    client: (worker, owner, more = {}) => clientOf(owner, () => gate.pass(worker), more),
    archive: await makeArchive(folder, random),
    checkpoints: [],
    auditKey: (await decider.server()).auditKey,
  };
}

async function makeArchive(folder: string, random: Random): Promise<World['archive']> {
  const [source, file] = ['archive.tar', 'archive.mguard'].map((name) => join(folder, name)) as [string, string];
  const plain = random.bytes(100_000);
  writeFileSync(source, plain);
  const key = MasterKey.generate();
  await encryptFile(source, file, { recipients: [key] });
  return { file, plain, key };
}
