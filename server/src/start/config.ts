/** Reads the configuration from flags, else the environment, else defaults, and refuses what production must not have. */
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { countOf, list, ModelGuardError, shapes, text, wordsOf } from '@org/model-guard/server-kit';
import { z } from 'zod';
import { oneProxy } from '../base/addresses.js';
import { type Config, isExposed, isUnprotected, type TlsFiles } from '../base/config.js';
import { flag, httpUrl, refused } from '../base/setting-schemas.js';
import { storageOf, storageSettings } from './storage-config.js';

const DAY = 86_400;
/** Networks that proxies usually stand in; production must name them. */
const PRIVATE_NETWORKS = 'loopback,linklocal,uniquelocal';

const port = countOf(0, 65_535);
const perMinute = countOf(1, 1_000_000_000);
const file = text(4096).min(1);
const MAX_ORIGINS = 100;
const originText = text(256);
const origins = z.union([
  list(originText, MAX_ORIGINS),
  text(16_384).transform((given) => given.split(',').filter((item) => item !== '')),
]);
const origin = originText
  .check(z.url({ protocol: /^https?$/ }))
  .refine((given) => URL.canParse(given) && new URL(given).origin === given, 'is not an origin (https://host[:port])');

/** All settings; every text comes from a flag or from the environment. */
export const settings = z.strictObject({
  data: file,
  secretsFolder: file.default('/run/secrets'),
  keysFolder: file.optional(),
  newDatabase: flag.default(false),
  databaseUrl: text(4096).min(1).optional(),
  host: text(256).min(1).default('127.0.0.1'),
  port: port.optional(),
  tlsCert: file.optional(),
  tlsKey: file.optional(),
  clientCa: file.optional(),
  clientCrl: file.optional(),
  httpRedirectPort: port.optional(),
  publicUrl: httpUrl.optional(),
  behindProxy: z.union([z.boolean(), text(4096)]).default(false),
  tokens: z.enum(['eddsa', 'hs256']).default('eddsa'),
  authentication: flag.default(true),
  corsOrigin: origins.pipe(list(origin, MAX_ORIGINS)).default([]),
  adminEmail: shapes.email.default('admin@localhost'),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  addressPolicy: z.enum(['anonymise', 'keep', 'omit']).default('anonymise'),
  addressLimit: perMinute.default(600),
  accountLimit: perMinute.default(600),
  loginLimit: perMinute.default(20),
  maxConnections: countOf(1, 1_000_000).optional(),
  networkConnections: countOf(1, 1_000_000).optional(),
  bodyMemory: countOf(128 * 2 ** 20, 2 ** 40).default(256 * 2 ** 20),
  accountQuota: countOf(0, Number.MAX_SAFE_INTEGER).default(10 * 2 ** 40),
  partUrlSeconds: countOf(10, DAY).default(300),
  unknownLoginRetentionDays: countOf(1, 3650).default(30),
  ...storageSettings,
});
export type Settings = z.input<typeof settings>;

/**
 * Checks the settings.
 * @throws INVALID_ARGUMENT for settings that are wrong, or that NODE_ENV=production refuses
 */
export function configure(given: Settings, environment: NodeJS.ProcessEnv = process.env): Config {
  const parsed = settings.safeParse(given, { error: wordsOf });
  if (!parsed.success) {
    const issue = parsed.error.issues[0] as z.core.$ZodIssue;
    const where = issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue.path.join('.');
    throw new ModelGuardError('INVALID_ARGUMENT', `The setting ${where}: ${issue.message}`);
  }
  const from = parsed.data;
  const tls = tlsOf(from);
  const chosenPort = from.port ?? (tls ? 8443 : 8080);
  const dataFolder = resolve(from.data);
  const production = environment.NODE_ENV === 'production';
  const config: Config = {
    dataFolder,
    keysFolder: from.keysFolder === undefined ? join(dataFolder, 'keys') : resolve(from.keysFolder),
    secretsFolder: resolve(from.secretsFolder),
    newDatabase: from.newDatabase,
    databaseUrl: from.databaseUrl ?? (environment.DATABASE_URL || undefined),
    production,
    host: from.host,
    port: chosenPort,
    tls,
    httpRedirectPort: from.httpRedirectPort,
    publicUrl: from.publicUrl ?? urlOf(from.host, chosenPort, tls !== undefined),
    publicUrlGiven: from.publicUrl !== undefined,
    trustedProxies: proxies(from.behindProxy, production),
    tokens: from.tokens,
    authentication: from.authentication && !switchedOff(environment.MODEL_GUARD_NO_AUTHENTICATION),
    corsOrigins: from.corsOrigin,
    adminEmail: from.adminEmail,
    logLevel: from.logLevel,
    auditAddresses: from.addressPolicy,
    limits: { address: from.addressLimit, account: from.accountLimit, login: from.loginLimit },
    maxConnections: from.maxConnections,
    networkConnections: from.networkConnections,
    bodyMemory: from.bodyMemory,
    accountQuota: from.accountQuota,
    partUrlSeconds: from.partUrlSeconds,
    unknownLoginRetentionDays: from.unknownLoginRetentionDays,
    ...storageOf(from, production),
  };
  if (config.httpRedirectPort !== undefined && !tls) throw refused('--http-redirect-port needs --tls-cert and --tls-key');
  if (config.production) refuseInProduction(config);
  if (!config.authentication && isExposed(config))
    throw refused('Without authentication every caller is an administrator: the server then serves this machine alone');
  return config;
}

/** Authentication is switched off by clear words only. */
function switchedOff(word: string | undefined): boolean {
  const off = flag.safeParse(word ?? 'false');
  if (!off.success) throw refused('MODEL_GUARD_NO_AUTHENTICATION is neither true nor false');
  return off.data;
}

function tlsOf({ tlsCert, tlsKey, clientCa, clientCrl }: z.output<typeof settings>): TlsFiles | undefined {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw refused('--tls-cert and --tls-key belong together');
  if (clientCrl !== undefined && clientCa === undefined) throw refused('--client-crl needs --client-ca');
  if (tlsCert === undefined || tlsKey === undefined) {
    if (clientCa !== undefined) throw refused('--client-ca needs --tls-cert and --tls-key');
    return undefined;
  }
  return { certificate: tlsCert, key: tlsKey, clientAuthority: clientCa, revoked: clientCrl };
}

function refuseInProduction(config: Config): void {
  if (!config.authentication) throw refused('NODE_ENV=production does not run without authentication');
  if (isUnprotected(config))
    throw refused(
      'NODE_ENV=production does not offer plain HTTP to the network: give --tls-cert and --tls-key, or --behind-proxy where a proxy ends TLS',
    );
}

/** The URL of an address and a port. */
export const urlOf = (host: string, at: number, secure: boolean): string =>
  `${secure ? 'https' : 'http'}://${isIP(host) === 6 ? `[${host}]` : host}:${at}`;

function proxies(given: boolean | string, production: boolean): readonly string[] {
  if (given === false || given === 'false' || given === '0' || given === '') return [];
  const everyPrivate = given === true || given === 'true' || given === '1';
  // Any container or host beside it could pass for any client.
  if (everyPrivate && production)
    throw refused(
      'NODE_ENV=production believes no unnamed proxy: give its addresses or networks, as in --behind-proxy 10.1.2.3/32',
    );
  const networks = (everyPrivate ? PRIVATE_NETWORKS : given).split(',').map((network) => network.trim());
  try {
    oneProxy(networks);
  } catch {
    throw refused('--behind-proxy takes addresses and networks, as in 10.1.2.3/32,fd00::/8');
  }
  return networks;
}
