// PostgreSQL with nothing saved to disk for good: on loopback, one superuser with a random password.
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { folderOf, freePort, run } from './processes.mjs';

const DEBIAN = '/usr/lib/postgresql';
/** initdb and postgres refuse to run as root. */
const user = process.getuid() === 0 ? 'postgres' : undefined;

function programs() {
  let versions = [];
  try {
    versions = readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a));
  } catch {
    // Elsewhere than on Debian it is in PATH.
  }
  return folderOf(
    'initdb',
    versions.map((version) => path.join(DEBIAN, version, 'bin')),
  );
}

export const missing = () => (programs() === undefined ? ['postgresql'] : []);

/** The owner of the server's folder: for root, the user that the package made. */
export async function owner() {
  return user === undefined ? undefined : Number(await run(['id', '-u', user]));
}

export async function start(processes, folder) {
  const bin = programs();
  const uid = await owner();
  mkdirSync(folder, { mode: 0o700 });
  const data = path.join(folder, 'data');
  const passwordFile = path.join(folder, 'password');
  const password = randomBytes(16).toString('hex');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (uid !== undefined) for (const place of [folder, passwordFile]) chownSync(place, uid, statSync(place).gid);
  await run(
    [
      ...[path.join(bin, 'initdb'), '--pgdata', data, '--username', 'postgres', '--pwfile', passwordFile],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
    ],
    { user },
  );
  rmSync(passwordFile);

  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    // Tests lose nothing by it; a benchmark measures what users get.
    ...(process.env.MG_DURABLE !== '1' && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    max_connections: 200,
  };
  const child = processes.start(
    'postgres',
    [path.join(bin, 'postgres'), '-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // At once, its own children included.
    { log: path.join(folder, 'postgres.log'), signal: 'QUIT', user },
  );
  const probe = [path.join(bin, 'pg_isready'), '--quiet', '--host', '127.0.0.1', '--port', String(port)];
  await processes.ready(child, () => run(probe).then(() => true));
  return { MG_TEST_POSTGRES: `postgres://postgres:${password}@127.0.0.1:${port}/postgres` };
}
