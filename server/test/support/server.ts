/** A real server with a data folder and a database of its own (`database.ts`), with an account of every role and a clock that stands still. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROLES, type Role, type RouteAnswer, type RouteName, type RouteRequest, routes } from '@org/model-guard/server-kit';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { hashPassword } from '../../src/accounts/passwords.js';
import type { TokenHolder } from '../../src/accounts/tokens.js';
import { insertUser } from '../../src/accounts/users.js';
import type { Config } from '../../src/base/config.js';
import type { PartsContext } from '../../src/parts/parts.js';
import { configure, type Settings } from '../../src/start/config.js';
import { makeLog } from '../../src/start/log.js';
import { openServer } from '../../src/start/server.js';
import { makeDatabase, postgresDatabase, type TestDatabase } from './database.js';
import { expectNoSecrets, KnownSecrets } from './secrets-in-logs.js';
import { collectSecrets } from './traffic-secrets.js';

/** Of every account. */
export const PASSWORD = 'a long phrase, never guessed';
/** The hash takes a while, and is the same for all. */
let hashed: Promise<string> | undefined;

export interface TestAccount {
  readonly id: string;
  readonly subject: string;
  readonly role: Role;
  readonly email: string;
  readonly password: string;
}
/** Stands still until a test moves it. */
export class TestClock {
  /** Seconds since 1970. */
  now = Math.floor(Date.now() / 1000);

  advance(seconds: number): void {
    this.now += seconds;
  }
}
export interface TestServer {
  readonly app: FastifyInstance;
  readonly context: PartsContext;
  readonly config: Config;
  readonly clock: TestClock;
  readonly folder: string;
  readonly accounts: Readonly<Record<Role, TestAccount>>;
  /** Records of the log so far. */
  readonly logged: readonly Record<string, unknown>[];
  /** The first administrator's password file, if this start made one. */
  readonly firstPassword: string | undefined;
  /** After {@link listen}. */
  readonly url: string;
  listen(): Promise<string>;
  /** A fresh token of that role's account. */
  token(role: Role): Promise<string>;
  /** A token for an account that a test has made. */
  issue(holder: TokenHolder): Promise<string>;
  /** Sends a request to a route of the contract, as that role or without a token. */
  request<Name extends RouteName>(
    role: Role | undefined,
    name: Name,
    ...given: RequestArguments<Name>
  ): Promise<LightMyRequestResponse>;
  /** Stops, and leaves the folder: {@link restart} starts again there. */
  stop(): Promise<void>;
  /** Stops, and starts again on the same folder. */
  restart(): Promise<TestServer>;
  /** Secrets that the log must not hold: a test that knows more of them adds them. */
  readonly secrets: KnownSecrets;
  /** The log as it was written, over restarts. */
  readonly lines: readonly string[];
  /** Stops, and looks through the whole log for every secret. */
  close(): Promise<void>;
}
type Query<Name extends RouteName> = RouteRequest<Name>['query'];
export type RequestOptions<Name extends RouteName> = Omit<RouteRequest<Name>, 'body' | 'query'> &
  // Where everything has a default, nothing need be said.
  (Partial<Query<Name>> extends Query<Name> ? { readonly query?: Query<Name> } : { readonly query: Query<Name> }) & {
    readonly body?: RouteRequest<Name>['body'] | Uint8Array;
    readonly headers?: Readonly<Record<string, string>>;
  };
type RequestArguments<Name extends RouteName> =
  Partial<RequestOptions<Name>> extends RequestOptions<Name> ? [given?: RequestOptions<Name>] : [given: RequestOptions<Name>];

/** Starts one; `config` changes settings. */
export async function startTestServer({
  config: settings = {},
  clock = new TestClock(),
  postgres = false,
}: {
  readonly config?: Partial<Settings>;
  readonly clock?: TestClock;
  /** On PostgreSQL, whatever the other tests run on. */
  readonly postgres?: boolean;
} = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'guard-server-'));
  const database = postgres ? await postgresDatabase(true) : await makeDatabase();
  const secrets = new KnownSecrets();
  if (database.password !== undefined) secrets.text('the password of the database', database.password);
  return open({ folder, database }, settings, clock, { secrets, lines: [] });
}

/** The whole log, over restarts, and the secrets that must not stand in it. */
interface ServerLog {
  readonly secrets: KnownSecrets;
  readonly lines: string[];
}

/** The state that survives restarts. */
interface ServerState {
  readonly folder: string;
  readonly database: TestDatabase;
}

async function open(place: ServerState, settings: Partial<Settings>, clock: TestClock, heard: ServerLog): Promise<TestServer> {
  const { folder, database } = place;
  const limits = { addressLimit: 1e9, accountLimit: 1e9, loginLimit: 1e9 };
  const places = { data: folder, databaseUrl: database.url, secretsFolder: join(folder, 'secrets'), port: 0 };
  const config = configure({ ...places, logLevel: 'trace', ...limits, ...settings }, {});
  const logged: Record<string, unknown>[] = [];
  const write = (line: string): void => {
    heard.lines.push(line);
    logged.push(JSON.parse(line));
  };
  const server = await openServer(config, { log: makeLog(config, { write }), now: () => clock.now });
  collectSecrets(server, heard.secrets);
  const knowKeys = (): KnownSecrets => heard.secrets.keyFiles(config.keysFolder).keyFiles(config.secretsFolder);
  knowKeys();
  const { app, context, tokens } = server;
  const accounts = await makeAccounts(context);
  let url = '';
  const token = async (role: Role): Promise<string> => {
    const user = await context.db.selectFrom('users').selectAll().where('id', '=', accounts[role].id).executeTakeFirstOrThrow();
    return (await tokens.issue({ id: user.id, role: user.role, epoch: user.token_epoch })).token;
  };
  const self: TestServer = {
    app,
    context,
    config: context.config,
    clock,
    folder,
    accounts,
    logged,
    firstPassword: server.firstPassword,
    get url() {
      return url;
    },
    async listen() {
      url = await server.listen();
      return url;
    },
    token,
    issue: async (holder) => (await tokens.issue(holder)).token,
    async request(role, name, ...[given]) {
      const headers = { ...(role && { authorization: `Bearer ${await token(role)}` }), ...given?.headers };
      return app.inject(injected(name, { ...given, headers } as InjectedRequest));
    },
    stop: () => server.close(),
    async restart() {
      await server.close();
      return open(place, settings, clock, heard);
    },
    secrets: heard.secrets,
    lines: heard.lines,
    async close() {
      await server.close();
      try {
        expectNoSecrets(knowKeys().text('the password', PASSWORD), heard.lines);
      } finally {
        await rm(folder, { recursive: true, force: true });
        await database.drop();
      }
    },
  };
  return self;
}

interface InjectedRequest {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly headers: Readonly<Record<string, string>>;
}
function injected(name: RouteName, { params = {}, query = {}, body, headers }: InjectedRequest): InjectOptions {
  const { method, path } = routes[name];
  const binary = body instanceof Uint8Array;
  const type = body === undefined ? {} : { 'content-type': binary ? 'application/octet-stream' : 'application/json' };
  return {
    method,
    url: path.replace(/:([a-z]+)/g, (_all, key: string) => encodeURIComponent(params[key] ?? '')),
    query: Object.fromEntries(Object.entries(query).map(([key, value]) => [key, String(value)])),
    headers: { ...type, ...headers },
    ...(body !== undefined && { payload: binary ? Buffer.from(body) : JSON.stringify(body) }),
  };
}

/** One of each role, `<role>@example.com`. */
async function makeAccounts(context: PartsContext): Promise<Readonly<Record<Role, TestAccount>>> {
  hashed ??= hashPassword(PASSWORD);
  const password = await hashed;
  const accounts: Partial<Record<Role, TestAccount>> = {};
  for (const role of ROLES) {
    const email = `${role}@example.com`;
    const index = Buffer.from(context.keys.fields.emailIndex(email));
    const { id, subject } = await context.db.transaction().execute(async (trx) => {
      const known = await trx.selectFrom('users').selectAll().where('email_index', '=', index).executeTakeFirst();
      return known ?? (await insertUser(context, trx, { profile: { email, name: role }, role, password, mustChange: false }));
    });
    accounts[role] = { id, subject, role, email, password: PASSWORD };
  }
  return accounts as Record<Role, TestAccount>;
}

/** Requests a token by password. */
export const login = (server: TestServer, email: string, password: string): Promise<LightMyRequestResponse> =>
  server.request(undefined, 'token', { body: { email, password } });

/** Events of the audit log, newest first, as an administrator of accounts reads them. */
export const auditEvents = async (
  server: TestServer,
  query: Query<'auditEvents'>,
): Promise<RouteAnswer<'auditEvents'>['items']> => (await server.request('apiAdmin', 'auditEvents', { query })).json().items;
