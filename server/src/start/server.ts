/** Opens a server from its configuration, part by part, and closes it in reverse. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { makeFirstAccount } from '../accounts/first-account.js';
import { confirmRights } from '../accounts/rights.js';
import { makeTokens, type Tokens } from '../accounts/tokens.js';
import { createAuditLog } from '../audit/log.js';
import type { Config } from '../base/config.js';
import { type Clock, openClock } from '../database/clock.js';
import type { Database } from '../database/connection.js';
import { describeDatabase, findDatabaseUrl, openDatabase } from '../database/open.js';
import { lockDataFolder } from '../database/sqlite/lock.js';
import { checkDatabaseMarker } from '../keys/database-marker.js';
import { ServerKeyring } from '../keys/keyring.js';
import { Connections } from '../limits/connections.js';
import { openParts } from '../parts/open-parts.js';
import type { PartsContext } from '../parts/parts.js';
import { buildApp } from './app.js';
import { Certificates } from './certificates.js';
import { CleanupTasks } from './cleanup.js';
import { urlOf } from './config.js';
import { listenFailure, makeListener, makeRedirect } from './listener.js';
import { makeLog } from './log.js';
import { version } from './version.js';

/** Milliseconds for running requests when the server stops. */
const GRACE_MS = 10_000;

/** The log of a server, and replacements for tests. */
export interface ServerParts {
  readonly log?: Logger | undefined;
  /** Seconds since 1970; replaces the database's clock. */
  readonly now?: (() => number) | undefined;
  /** Whether each address is logged once the server listens; not where the caller announces them as text. Default: true. */
  readonly logAddresses?: boolean | undefined;
}

/** An assembled server that does not listen yet. */
export interface OpenServer {
  readonly app: FastifyInstance;
  readonly context: PartsContext;
  readonly tokens: Tokens;
  /** The database and its driver, for an operator. */
  readonly database: string;
  /** The file of the first password, where this start made the first account. */
  readonly firstPassword: string | undefined;
  /** Listens, and returns the URL for clients. */
  listen(): Promise<string>;
  /**
   * Reads TLS certificates again now; otherwise this happens every minute. Files that cannot be used are logged and change
   * nothing.
   */
  reloadCertificates(): Promise<void>;
  /** Stops accepting, gives requests ten seconds to finish, and closes everything. A second call is harmless. */
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
  // The public URL is certain only once the port is known.
  const config: { -readonly [Key in keyof Config]: Config[Key] } = { ...given, databaseUrl: await findDatabaseUrl(given) };
  const log = parts.log ?? makeLog(config);
  // Before any folder is made: without a driver nothing is left behind.
  const database = await describeDatabase(config);
  const connections = await Connections.open(config, log);
  const certificates = config.tls && (await Certificates.read(config.tls, log));
  const listener = makeListener(certificates);
  // PostgreSQL serves several servers, a file one.
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
    const complete = await checkDatabaseMarker(config, db);
    if (config.newDatabase)
      log.warn('--new-database is for one start: without it, a database that is lost is not taken for a new one');
    const keys = await ServerKeyring.open(config, db, now);
    const { serverId, logId } = keys.ids;
    const audit = createAuditLog({ db, keys, logId, now, confirmRights });
    const bigParts = await openParts({ config, db, keys, log, now });
    const context: PartsContext = {
      config,
      db,
      keys,
      serverId,
      logId,
      audit,
      cleanup: new CleanupTasks(),
      parts: bigParts,
      log,
      now,
    };
    const firstPassword = await makeFirstAccount(context);
    await complete(serverId);
    const tokens = await makeTokens(context);
    const app = await buildApp(context, { tokens, version, server: (handler) => connections.watch(listener(handler)) });
    await app.ready();
    const quiet = parts.logAddresses === false && log.isLevelEnabled('info');
    const { listen, close } = lifeOf(app, closeDatabase, config, connections, quiet);
    const reloadCertificates = async (): Promise<void> => certificates?.reload();
    return { app, context, tokens, database, firstPassword, listen, reloadCertificates, close };
  } catch (error) {
    // Throw the first failure, not one of closing.
    await closeDatabase().catch(() => undefined);
    throw error;
  }
}

function lifeOf(
  app: FastifyInstance,
  closeDatabase: () => Promise<void>,
  config: { -readonly [Key in keyof Config]: Config[Key] },
  connections: Connections,
  quiet: boolean,
) {
  let redirect: Server | undefined;
  let closing: Promise<void> | undefined;

  const listen = async (): Promise<string> => {
    const { host, port, tls, httpRedirectPort, publicUrlGiven } = config;
    const secure = tls !== undefined;
    // Fastify assumes plain HTTP for a listener that it did not make.
    const listenTextResolver = (address: string): string =>
      `Server listening at ${secure ? address.replace(/^http:/, 'https:') : address}`;
    const { level } = app.log;
    // Fastify logs each address, and has no option against it.
    if (quiet) app.log.level = 'warn';
    try {
      await app.listen({ host, port, listenTextResolver });
    } catch (error) {
      throw listenFailure(error, host, port, '--port');
    } finally {
      app.log.level = level;
    }
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
