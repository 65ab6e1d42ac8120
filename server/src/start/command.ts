/** Defines the command line. Every flag has a variable MODEL_GUARD_<FLAG>. */
import { makeStrict } from '@org/model-guard/server-kit';
import { Command, Option } from 'commander';
import type { Settings } from './config.js';

const EXAMPLES = `
Examples, in a clone after npm ci:
  $ npx model-guard-server --data ./guard-data
  $ npx model-guard-server --data /var/lib/guard --host 0.0.0.0 \\
      --tls-cert server.crt --tls-key server.key --http-redirect-port 8080 --public-url https://guard.example.com:8443
  $ NODE_ENV=production npx model-guard-server --data /var/lib/guard --host 0.0.0.0 --behind-proxy 10.1.2.3/32
  $ npx model-guard-server key --data /var/lib/guard
  $ npx model-guard-server reset-password --data /var/lib/guard --email admin@localhost

The first start makes an administrator and names the file that holds the password. Keys are read from
/run/secrets/model_guard_{signing,encryption,audit,field}_key, else from DATA/keys. With NODE_ENV=production, what suits only
development is refused.`;

const variable = (flags: string): string =>
  `MODEL_GUARD_${/--([a-z0-9-]+)/.exec(flags)?.[1]?.replaceAll('-', '_').toUpperCase() ?? ''}`;
const option = (flags: string, description: string): Option => new Option(flags, description).env(variable(flags));
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, ...value.split(',')];

/** The account that gets a new password, and the file of the password. */
export interface Reset {
  readonly email?: string | undefined;
  readonly passwordFile?: string | undefined;
}
/** The output format of the key. */
export interface KeyOutput {
  readonly json?: boolean | undefined;
}
/** The commands on the state of a server. They get its settings as written; configure() checks them. */
export interface Maintenance {
  /** Gives an account a new password. */
  resetPassword(settings: Settings, reset: Reset): Promise<void>;
  /** Prints the key that clients pin. */
  showKey(settings: Settings, output: KeyOutput): Promise<void>;
}

/** Settings that maintenance commands take after their name, too. */
const SHARED = ['data', 'secrets-folder', 'keys-folder', 'admin-email'];

/** Adds a command on the state of a server. Its shared settings are stored in the server's command. */
function addMaintenance(server: Command, name: string): Command {
  const command = server.command(name).allowExcessArguments(false);
  for (const option of server.options.filter((one) => SHARED.includes(one.name()))) {
    const keep = (value: string): Command => server.setOptionValueWithSource(option.attributeName(), value, 'cli');
    command.addOption(new Option(option.flags, option.description)).on(`option:${option.name()}`, keep);
  }
  return command;
}

/** @param run Starts a server with the settings as written; configure() checks them. */
export function makeCommand(
  version: string,
  run: (settings: Settings) => Promise<void>,
  { resetPassword, showKey }: Partial<Maintenance> = {},
): Command {
  const command = makeStrict(new Command('model-guard-server'))
    .description('The guard server: keeps the small parts of protected models and leases them to approved machines.')
    .version(version)
    // Flags after the name of a command belong to that command alone.
    .enablePositionalOptions()
    .exitOverride()
    .addOption(option('--data <folder>', 'database, parts and keys; made if it is missing').makeOptionMandatory())
    .addOption(option('--secrets-folder <folder>', 'where secrets are mounted (default: /run/secrets)'))
    .addOption(option('--keys-folder <folder>', 'where keys are that are no secrets (default: DATA/keys)'))
    // With a value, so that an empty variable, or "false", does not count as "true".
    .addOption(
      option(
        '--new-database [boolean]',
        'once: the keys get a database that is empty or another one than theirs; without it such a start is refused',
      ),
    )
    .addOption(option('--host <address>', 'address to listen at (default: 127.0.0.1)'))
    .addOption(option('--port <number>', 'port to listen at (default: 8443 with TLS, else 8080)'))
    .addOption(option('--tls-cert <file>', 'certificate chain (PEM); TLS 1.3 only'))
    .addOption(option('--tls-key <file>', 'its private key (PEM)'))
    .addOption(option('--client-ca <file>', 'demand client certificates of this authority (PEM)'))
    .addOption(option('--client-crl <file>', 'refuse client certificates that these lists of the authority name (PEM)'))
    .addOption(option('--http-redirect-port <number>', 'plain port that only redirects to the public URL'))
    .addOption(option('--public-url <url>', 'what clients call (default: from address and port)'))
    .addOption(
      option(
        '--behind-proxy [networks]',
        'believe the last X-Forwarded-For of one proxy in these networks (default: private ones; in production they are named)',
      ),
    )
    .addOption(
      option('--tokens <kind>', 'how tokens are signed: eddsa (default), or hs256 by the secret model_guard_token_secret'),
    )
    // Its variable is read by configure(): a word like "0" must not count as set.
    .addOption(new Option('--no-authentication', 'development only: every request is an administrator'))
    .addOption(option('--cors-origin <origin>', 'let pages of this origin call; repeatable (default: none)').argParser(collect))
    .addOption(option('--admin-email <address>', 'of the first account (default: admin@localhost)'))
    .addOption(option('--log-level <level>', 'trace, debug, info (default), warn, error, fatal, silent'))
    .addOption(option('--address-policy <policy>', 'addresses in the audit log: anonymise (default), keep, omit'))
    .addOption(option('--address-limit <number>', 'requests in a minute from one address (default: 600)'))
    .addOption(option('--account-limit <number>', 'requests in a minute of one account (default: 600)'))
    .addOption(option('--login-limit <number>', 'log-ins in a minute from one address (default: 20)'))
    .addOption(
      option('--max-connections <number>', 'connections at once (default: as many as open files are allowed for, at most 4096)'),
    )
    .addOption(
      option(
        '--network-connections <number>',
        'connections at once from one network, but for proxies (default: a quarter of all)',
      ),
    )
    .addOption(
      option(
        '--body-memory <bytes>',
        'for request bodies and large answers at once, a quarter of it for one account; at least 134217728 (default: 268435456)',
      ),
    )
    .addOption(
      option(
        '--account-quota <bytes>',
        'of big parts that one account may have, open uploads included (default: 10 TiB, 10995116277760)',
      ),
    )
    .addOption(option('--part-url-seconds <number>', 'how long URLs of big parts live (default: 300)'))
    .addOption(
      option('--s3-bucket <name>', 'keep big parts in this bucket, by the secrets model_guard_s3_{read,write}_{key_id,secret}'),
    )
    .addOption(option('--s3-endpoint <url>', 'of another S3 server than AWS'))
    .addOption(option('--s3-public-endpoint <url>', 'what clients reach of it (default: the endpoint)'))
    .addOption(option('--s3-region <name>', 'region of the bucket (default: us-east-1)'))
    .addOption(option('--s3-prefix <path>', 'this part of the bucket belongs to the server (default: all of it)'))
    .addOption(option('--s3-path-style <boolean>', 'the bucket is in the path, not in the host (default: true with an endpoint)'))
    .addOption(option('--piece-bytes <number>', 'pieces of an upload, at least (default: 8388608)'))
    .addOption(option('--cdn-url <url>', "URLs of big parts are this CDN's, signed by the secret model_guard_cdn_key"))
    .addOption(
      option('--unknown-login-retention-days <number>', 'how long log-ins of unknown addresses stay readable (default: 30)'),
    )
    .addHelpText('after', EXAMPLES)
    .allowExcessArguments(false);
  addMaintenance(command, 'reset-password')
    .description(
      'Give an account a new password, here on the machine of the server, also while the server runs: enables the account, ends its\n' +
        'tokens and its locks. The password is asked for, or read from a file. The audit log says that it was done.',
    )
    .addOption(new Option('--email <address>', 'the account (default: the address of --admin-email)'))
    .addOption(new Option('--password-file <file>', 'holds the new password in its first line'))
    .action((reset: Reset) => resetPassword?.(command.opts<Settings>(), reset));
  addMaintenance(command, 'key')
    .description(
      'Print the public signing key of the server, which clients pin (login --server-key), without starting it, also while it runs.\n' +
        'The database names it, so the key files are not read.',
    )
    .addOption(new Option('--json', 'with fingerprint, server id and audit key, for machines'))
    .action((output: KeyOutput) => showKey?.(command.opts<Settings>(), output));
  return command.action((settings: Settings) => run(settings));
}
