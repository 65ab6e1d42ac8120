/** Several servers, each a process of its own, on one PostgreSQL database, with one folder of keys and one of parts. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RouteAnswer, type RouteName, routes } from '@org/model-guard/server-kit';
import type { Random } from '../../../test/support/seed.js';
import { postgresDatabase } from './database.js';
import { freePort, type Listening, ServerProcess } from './server-process.js';

const LIMITS = ['address', 'account', 'login'];
const UNLIMITED = Object.fromEntries(LIMITS.map((what) => [`${what}-limit`, '1000000000']));

/** One of them. */
export interface Replica {
  readonly process: ServerProcess;
  readonly url: string;
}

export interface Replicas {
  readonly folder: string;
  /** URL of the database. */
  readonly database: string;
  readonly all: readonly Replica[];
  /** Starts all of them at once. */
  start(): Promise<readonly Listening[]>;
  /** The first password, as the first start wrote it. */
  firstPassword(): string;
  /** Kills the processes that are left, and removes database and folder. */
  remove(): Promise<void>;
}

/**
 * Makes replicas, none of which is started yet. `settings` are flags without their dashes, beside limits that are never reached.
 */
export async function makeReplicas(
  command: string,
  random: Random,
  settings: Readonly<Record<string, string>> = {},
  count = 3,
): Promise<Replicas> {
  const folder = await mkdtemp(join(tmpdir(), 'guard-replicas-'));
  const database = await postgresDatabase(false);
  const data = join(folder, 'data');
  const all: Replica[] = [];
  for (let n = 0; n < count; n++) {
    const port = await freePort(random);
    const flags = { data, port: `${port}`, 'log-level': 'trace', ...UNLIMITED, ...settings };
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    const process = new ServerProcess(command, words, { DATABASE_URL: database.url });
    all.push({ process, url: `http://127.0.0.1:${port}` });
  }
  return {
    folder,
    database: database.url,
    all,
    start: () => Promise.all(all.map(({ process }) => process.start())),
    firstPassword: () => readFileSync(join(data, 'admin-password.txt'), 'utf8').trim(),
    async remove() {
      for (const { process } of all) await process.kill();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface RequestParts {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}
export interface Answer<Body> {
  readonly status: number;
  readonly retryAfter: number | undefined;
  /** Of a refusal: `{ error }`. */
  readonly body: Body;
}

/** Asks a route of the contract of one replica, with a token or without. */
export async function ask<Name extends RouteName>(
  { url }: Pick<Replica, 'url'>,
  token: string | undefined,
  name: Name,
  { params = {}, query = {}, body, headers = {} }: RequestParts = {},
): Promise<Answer<RouteAnswer<Name>>> {
  const { method, path } = routes[name];
  const at = new URL(
    path.replace(/:([a-z]+)/g, (_all, key: string) => encodeURIComponent(params[key] ?? '')),
    url,
  );
  for (const [key, value] of Object.entries(query)) at.searchParams.set(key, String(value));
  const binary = body instanceof Uint8Array;
  const type = body === undefined ? {} : { 'content-type': binary ? 'application/octet-stream' : 'application/json' };
  const answer = await fetch(at, {
    method,
    headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...type, ...headers },
    ...(body !== undefined && { body: binary ? Buffer.from(body) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const after = answer.headers.get('retry-after');
  const json = answer.headers.get('content-type')?.startsWith('application/json');
  return { status: answer.status, retryAfter: after === null ? undefined : Number(after), body: json ? JSON.parse(text) : text };
}

/** The same for an answer that must be good. */
export async function demand<Name extends RouteName>(...asked: Parameters<typeof ask<Name>>): Promise<RouteAnswer<Name>> {
  const { status, body } = await ask(...asked);
  if (status >= 300) throw new Error(`${asked[2]}: ${status} ${JSON.stringify(body)}`);
  return body;
}
