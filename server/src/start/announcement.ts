/** Announces a server that has started: as text at a terminal, as records for programs. */
import { fingerprintOf } from '@org/model-guard/server-kit';
import type { Logger } from 'pino';
import { type Config, isUnprotected } from '../base/config.js';
import type { RunningServer } from './server.js';

/** The output of the announcement. */
export interface AnnouncementOutput {
  readonly log: Logger;
  /** Writes lines for a person; absent where programs read the output. */
  readonly write?: ((text: string) => void) | undefined;
}

/** Announces the address, the key that clients pin, the database, the file of the first password, and warnings. */
export function announce(server: AnnouncedServer, config: Config, { log, write }: AnnouncementOutput): void {
  const { serverId, keys } = server.context;
  const key = keys.signing.publicKey.toString();
  const warnings = warningsOf(config);
  if (write && log.isLevelEnabled('info')) {
    write(textOf(server, config, key, warnings));
    return;
  }
  log.info({ url: server.url, server_id: serverId, signing_key: key, database: server.database }, 'listening');
  for (const warning of warnings) log.warn(warning);
  if (server.firstPassword !== undefined)
    log.warn({ file: server.firstPassword }, 'the first password is in this file: change it at the first log-in');
}

/** The part of a server that is announced. */
type AnnouncedServer = Pick<RunningServer, 'url' | 'database' | 'firstPassword'> & {
  readonly context: { readonly serverId: string; readonly keys: { readonly signing: { readonly publicKey: object } } };
};

function warningsOf(config: Config): readonly string[] {
  const warnings: string[] = [];
  if (!config.authentication) warnings.push('authentication is off: every request is an administrator');
  if (isUnprotected(config))
    warnings.push(
      'plain HTTP to the network: passwords and tokens can be read on their way. Give --tls-cert and --tls-key, or --behind-proxy where a proxy ends TLS',
    );
  return warnings;
}

function textOf(
  { url, database, firstPassword }: AnnouncedServer,
  config: Config,
  key: string,
  warnings: readonly string[],
): string {
  const { publicUrl, dataFolder, adminEmail } = config;
  const lines = [
    `The guard server listens at ${url}`,
    ...(publicUrl === url ? [] : [`Clients call it at         ${publicUrl}`]),
    '',
    `  signing key  ${key}   (clients pin it)`,
    `  fingerprint  ${fingerprintOf(key)}`,
    `  data         ${dataFolder}`,
    `  database     ${database}`,
    ...warnings.flatMap((warning) => ['', `Warning: ${warning}.`]),
    ...(firstPassword === undefined ? [] : firstSteps(publicUrl, key, adminEmail, firstPassword)),
    '',
    'Ctrl-C stops it. The records of the log follow, one a line.',
  ];
  return `${lines.join('\n')}\n\n`;
}

/**
 * The commands by which the first administrator logs in, as in server/README.md. The password itself is not shown. They may be
 * pasted again: the new password is made once, and the first one counts while the server keeps its file.
 */
function firstSteps(url: string, key: string, email: string, file: string): readonly string[] {
  const password = quoted(file);
  return [
    '',
    `The first password of ${email} is in ${file}`,
    'and must be changed at the first log-in:',
    '',
    '  [ -s new-password.txt ] || (umask 077; openssl rand -base64 18 > new-password.txt)',
    `  [ -e ${password} ] && (umask 077; printf '%s\\n%s\\n' ${quoted(email)} "$(cat ${password})" > admin.txt)`,
    `  npx model-guard login --url ${url} --server-key ${key} --credentials admin.txt`,
    `  npx model-guard password --current ${password} --new new-password.txt`,
    `  printf '%s\\n%s\\n' ${quoted(email)} "$(cat new-password.txt)" > admin.txt`,
  ];
}

/** Quotes a word for a shell. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`);
