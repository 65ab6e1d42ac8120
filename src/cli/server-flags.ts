/** The guard server that a command talks to: the profile, and what a flag replaces in it. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ModelGuardError } from '../errors.js';
import { type Pace, pace } from '../http/pace.js';
import { DeviceKey } from '../keys/secret.js';
import { type GuardServer, guardServerIn } from '../remote/guard-server.js';
import type { CredentialsSource, TlsOptions } from '../remote/types.js';
import { collect, usage } from './flags.js';
import { type Profile, readProfile } from './profile.js';
import { askCredentials } from './prompt.js';

export interface ServerFlags {
  readonly profile?: string;
  readonly credentials?: string;
  readonly device?: string;
  readonly stateFolder?: string;
  readonly publisher?: readonly string[];
  readonly rollback?: boolean;
  /** `--no-proxy` */
  readonly proxy?: boolean;
}

/** Where credentials stand that no file holds. */
export const VARIABLES = { email: 'MODEL_GUARD_EMAIL', password: 'MODEL_GUARD_PASSWORD' } as const;

/** Of every command that asks the server. */
export const withServer = (command: Command): Command =>
  command
    .option('--profile <FILE>', 'what login wrote (default: model-guard/server.json in XDG_CONFIG_HOME)')
    .option(
      '--credentials <FILE>',
      `e-mail address and password, a line each (else ${VARIABLES.email} and ${VARIABLES.password})`,
    )
    .option('--no-proxy', 'reach the server directly, whatever HTTPS_PROXY says');
/** Of commands that keep what the device remembers. */
export const withState = (command: Command): Command =>
  command.option(
    '--state-folder <DIR>',
    'where this device keeps leases and what it has seen (default: as enrolled, else model-guard in XDG_STATE_HOME)',
  );
export const withDevice = (command: Command): Command =>
  withState(command).option('--device <FILE>', "this machine's key file (default: the one that was enrolled)");
export const withPublisher = (command: Command): Command =>
  command.option('--publisher <NAME=K>', 'trust this publisher (mgs1:…) for a model; repeat for more', collect);

/** `NAME=mgs1:…`, several for one name. */
export function publishersOf(given: readonly string[] = []): Record<string, string[]> {
  // `constructor` is a name that a model may have.
  const publishers = new Map<string, string[]>();
  for (const text of given) {
    const at = text.indexOf('=');
    if (at < 1) throw usage(`--publisher wants NAME=mgs1:…, not ${text}`);
    const name = text.slice(0, at);
    publishers.set(name, [...(publishers.get(name) ?? []), text.slice(at + 1)]);
  }
  return Object.fromEntries(publishers);
}

function credentialsOf(file: string | undefined): CredentialsSource {
  if (file !== undefined) return { file: resolve(file) };
  if (process.env[VARIABLES.email] !== undefined) return { env: VARIABLES };
  return () => askCredentials();
}

const tlsOf = ({ ca, clientCertificate: cert, clientKey: key }: Profile): TlsOptions => ({
  ...(ca !== undefined && { ca }),
  ...(cert !== undefined && { cert }),
  ...(key !== undefined && { key }),
});

/** A device that remembers in two places has seen nothing yet in one of them, so the folder is part of the profile. */
export const stateOf = (profile: Profile, { stateFolder }: ServerFlags): string | undefined =>
  stateFolder === undefined ? profile.state : resolve(stateFolder);

/** As `profile` says. */
export async function connect(profile: Profile, flags: ServerFlags, device?: DeviceKey): Promise<GuardServer> {
  const state = stateOf(profile, flags);
  const publishers = { ...profile.publishers, ...publishersOf(flags.publisher) };
  const options = {
    url: profile.url,
    serverKey: profile.serverKey,
    credentials: credentialsOf(flags.credentials ?? profile.credentials),
    tls: tlsOf(profile),
    ...(device && { device }),
    ...(state !== undefined && { state }),
    ...(Object.keys(publishers).length > 0 && { publishers }),
    ...(flags.rollback && { rollback: 'accept' as const }),
    ...(flags.proxy === false && { proxy: false as const }),
  };
  return guardServerIn(options, { pace: announcing });
}

/** Shorter pauses are not worth a line. */
const LONG_MS = 3_000;
/** The person at the terminal is told why nothing happens. */
const announcing: Pace = {
  ...pace,
  sleep(milliseconds, signal) {
    if (milliseconds >= LONG_MS)
      process.stderr.write(`Waiting ${Math.ceil(milliseconds / 1000)} s before the guard server is asked again\n`);
    return pace.sleep(milliseconds, signal);
  },
};

/** For what needs no device. */
export const serverOf = async (flags: ServerFlags): Promise<GuardServer> => connect(await readProfile(flags.profile), flags);

/** For what only an enrolled device may do. */
export async function deviceServerOf(flags: ServerFlags): Promise<GuardServer> {
  const profile = await readProfile(flags.profile);
  const file = flags.device ?? profile.device;
  if (file === undefined)
    throw new ModelGuardError('INVALID_ARGUMENT', 'No device is enrolled here', {
      advice: 'Run `model-guard enroll --device device.key --name NAME` first, or name the key with --device.',
    });
  return connect(profile, flags, await DeviceKey.fromFile(file));
}
