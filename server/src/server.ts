/** A server from its configuration: everything opened in order, and closed in reverse. */
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { makeFirstAccount } from './accounts/first-start.js';
import { makeTokens, type Tokens } from './accounts/tokens.js';
import { createAuditLog } from './audit/log.js';
import { Certificates } from './certificates.js';
import { type Config, urlOf } from './config.js';
import { Connections } from './connections.js';
import type { Context, Database } from './context.js';
import { type Clock, openClock } from './database/clock.js';
import { findDatabaseUrl, openDatabase } from './database/open.js';
import { lockDataFolder } from './database/sqlite/lock.js';
import { buildApp } from './http/app.js';
import { matchDatabase } from './keys/database-marker.js';
import { ServerKeyring } from './keys/keyring.js';
import { listenFailure, makeListener, makeRedirect } from './listener.js';
import { makeLog } from './log.js';
import { openParts } from './models/opening.js';

/** Requests that run when the server is told to stop may take so long. */
const GRACE_MS = 10_000;
const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** What tests put in the place of the real one. */
export interface ServerParts {
  readonly log?: Logger | undefined;
  /** Seconds since 1970; in the place of the database's clock. */
  readonly now?: (() => number) | undefined;
}

/** A server that is put together, but does not listen. */
export interface OpenServer {
  readonly app: FastifyInstance;
  readonly context: Context;
  readonly tokens: Tokens;
  /** Holds the first password, where this start made the first account. */
  readonly firstPassword: string | undefined;
  /** Listens; the URL that clients call. */
  listen(): Promise<string>;
  /** Reads TLS certificates again now; without it this happens every minute. Files that cannot be used are logged and change nothing. */
  reloadCertificates(): Promise<void>;
  /** Stops accepting, lets requests finish for ten seconds, closes everything. Calling it twice is harmless. */
  close(): Promise<void>;
}

/** A server that listens. */
export interface RunningServer extends OpenServer {
  readonly url: string;
}

/**
 * Starts a guard server.
 * @example
 * const server = await startServer(configure({ data: './guard-data' }));
 * console.log(server.url);
 */
export async function startServer(config: Config, parts: ServerParts = {}): Promise<RunningServer> {
  const server = await openServer(config, parts);
  try {
    return { ...server, url: await server.listen() };
  } catch (error) {
    await server.close().catch(() => undefined);
    throw error;
  }
}

export async function openServer(given: Config, parts: ServerParts = {}): Promise<OpenServer> {
  // The public URL is known for certain only once a port is.
  const config: { -readonly [Key in keyof Config]: Config[Key] } = { ...given, databaseUrl: await findDatabaseUrl(given) };
  const log = parts.log ?? makeLog(config);
  const connections = await Connections.open(config, log);
  const certificates = config.tls && (await Certificates.read(config.tls, log));
  const listener = makeListener(certificates);
  // PostgreSQL is for several servers, a file for one.
  const folder = config.databaseUrl === undefined ? await lockDataFolder(config.dataFolder) : undefined;
  let db: Database | undefined;
  let clock: Clock | undefined;
  const closeDatabase = async (): Promise<void> => {
    clock?.close();
    try {
      await db?.destroy();
    } finally {
      folder?.release();
    }
  };
  try {
    db = await openDatabase(config);
    clock = parts.now ? { now: parts.now, close: () => undefined } : await openClock(db, config, log);
    const { now } = clock;
    const complete = await matchDatabase(config, db);
    if (config.newDatabase)
      log.warn('--new-database is for one start: without it, a database that is lost is not taken for a new one');
    const keys = await ServerKeyring.open(config, db, now);
    const { serverId, logId } = keys.ids;
    const audit = createAuditLog({ db, keys, logId, now, config });
    const bigParts = await openParts({ config, db, keys, log, now });
    const context: Context = { config, db, keys, serverId, logId, audit, parts: bigParts, log, now };
    const firstPassword = await makeFirstAccount(context);
    await complete(serverId);
    const tokens = await makeTokens(context);
    const app = await buildApp(context, { tokens, version, server: (handler) => connections.watch(listener(handler)) });
    await app.ready();
    const { listen, close } = lifeOf(app, closeDatabase, config, connections);
    const reloadCertificates = async (): Promise<void> => certificates?.reload();
    return { app, context, tokens, firstPassword, listen, reloadCertificates, close };
  } catch (error) {
    // The reason is the first failure, not one of closing.
    await closeDatabase().catch(() => undefined);
    throw error;
  }
}

function lifeOf(
  app: FastifyInstance,
  closeDatabase: () => Promise<void>,
  config: { -readonly [Key in keyof Config]: Config[Key] },
  connections: Connections,
) {
  let redirect: Server | undefined;
  let closing: Promise<void> | undefined;

  const listen = async (): Promise<string> => {
    const { host, port, tls, httpRedirectPort, publicUrlGiven } = config;
    const secure = tls !== undefined;
    // Fastify takes a listener that it did not make for a plain one.
    const listenTextResolver = (address: string): string =>
      `Server listening at ${secure ? address.replace(/^http:/, 'https:') : address}`;
    await app.listen({ host, port, listenTextResolver }).catch((error: unknown) => {
      throw listenFailure(error, host, port, '--port');
    });
    const bound = (app.server.address() as AddressInfo).port;
    if (!publicUrlGiven) config.publicUrl = urlOf(host, bound, secure);
    if (httpRedirectPort !== undefined) {
      redirect = connections.watch(makeRedirect(() => config.publicUrl));
      await listening(redirect, httpRedirectPort, host);
    }
    return urlOf(host, bound, secure);
  };

  const shut = async (): Promise<void> => {
    redirect?.close();
    const late = setTimeout(() => app.server.closeAllConnections(), GRACE_MS);
    try {
      await app.close();
    } finally {
      clearTimeout(late);
      await closeDatabase();
    }
  };
  const close = (): Promise<void> => {
    closing ??= shut();
    return closing;
  };
  return { listen, close };
}

const listening = (server: Server, port: number, host: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(listenFailure(error, host, port, '--http-redirect-port'));
    server.once('error', failed).listen(port, host, () => resolve());
  });
