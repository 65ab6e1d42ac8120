/** A guard server as a user starts it: a process of its own, its first administrator, and the accounts of the story. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type DeviceKey, type GuardServer, guardServer, type VerifyingKey } from '../../src/index.js';

const COMMAND = fileURLToPath(new URL('../../server/bin/model-guard-server.js', import.meta.url));

interface Account {
  readonly email: string;
  readonly password: string;
}
interface Client {
  readonly device?: DeviceKey;
  readonly publishers?: VerifyingKey;
}

export interface Guard {
  readonly url: string;
  /** Where the server keeps everything. */
  readonly data: string;
  /** A client of that account; what a device remembers lies in `<folder>/state`. */
  client(account: Account, client?: Client): GuardServer;
  /** The first administrator, with a password of his own by now. */
  readonly admin: GuardServer;
  /** A new account with that role, which has chosen its own password. */
  account(email: string, role: 'operator' | 'companion'): Promise<Account & { readonly id: string }>;
  stop(): Promise<void>;
}

const secret = (): string => randomBytes(18).toString('base64url');

/** Starts a server in `folder`, on this machine alone. */
export async function startGuard(folder: string): Promise<Guard> {
  const data = join(folder, 'guard-data');
  const child = spawn(process.execPath, [COMMAND, '--data', data, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'development' },
  });
  const { url, serverKey, passwordFile } = await told(child);
  const state = join(folder, 'state');
  const clients: GuardServer[] = [];

  const client = (account: Account, { device, publishers }: Client = {}): GuardServer => {
    const made = guardServer({
      url,
      serverKey,
      credentials: () => account,
      state,
      ...(device && { device }),
      ...(publishers && { publishers }),
    });
    clients.push(made);
    return made;
  };
  const chooseOwn = async (account: Account): Promise<Account> => {
    const own = { email: account.email, password: secret() };
    await client(account).account.changePassword(account.password, own.password);
    return own;
  };
  const admin = client(await chooseOwn({ email: 'admin@localhost', password: readFileSync(passwordFile, 'utf8').trim() }));

  return {
    url,
    data,
    client,
    admin,
    async account(email, role) {
      const password = secret();
      const { id } = await admin.users.create({ email, password, role });
      return { id, ...(await chooseOwn({ email, password })) };
    },
    async stop() {
      for (const one of clients) one.close();
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** What the server's log says at its first start; afterwards it is read and dropped, so that the server is not held up. */
async function told(child: ChildProcess): Promise<{ url: string; serverKey: string; passwordFile: string }> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const found = { url: '', serverKey: '', passwordFile: '' };
  for await (const line of lines) {
    const record = JSON.parse(line) as { url?: string; signing_key?: string; file?: string };
    if (record.url) Object.assign(found, { url: record.url, serverKey: record.signing_key });
    if (record.file) found.passwordFile = record.file;
    if (found.url && found.passwordFile) break;
  }
  if (!found.url || !found.passwordFile) throw new Error('the guard server did not start');
  child.stdout?.resume();
  return found;
}
