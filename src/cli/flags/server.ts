/** Connects to the guard server that the profile and the flags name. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { hasCode, ModelGuardError } from '../../errors.js';
import { userFolderHelp } from '../../files/user-folder.js';
import { type CredentialsSource, DeviceKey, type GuardServer, type TlsOptions } from '../../index.js';
import { guardServerWithHooks } from '../../remote/guard-server.js';
import { askCredentials } from '../../terminal/prompt.js';
import { type Profile, readProfile } from '../profile.js';
import { type Pace, pace } from '../sdk.js';
import { collect, usage } from './common.js';

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

/** Environment variables of credentials that are in no file. */
export const VARIABLES = { email: 'MODEL_GUARD_EMAIL', password: 'MODEL_GUARD_PASSWORD' } as const;

/** The environment of a program that gets one model or archive, without the credentials of the guard server, which would get it another. */
export const withoutCredentials = (): NodeJS.ProcessEnv => ({
  ...process.env,
  ...Object.fromEntries(Object.values(VARIABLES).map((name) => [name, undefined])),
});

/** For every command that asks the server. */
export const withServer = (command: Command): Command =>
  command
    .option('--profile <FILE>', `the file that login wrote (${userFolderHelp('XDG_CONFIG_HOME', '/server.json')})`)
    .option(
      '--credentials <FILE>',
      `e-mail address and password, a line each (else ${VARIABLES.email} and ${VARIABLES.password})`,
    )
    .option('--no-proxy', 'reach the server directly, whatever HTTPS_PROXY says');
/** For commands that use the memory of the device. */
export const withState = (command: Command): Command =>
  command.option(
    '--state-folder <DIR>',
    `where this device keeps leases and the state of the server, unless it was enrolled with another (${userFolderHelp('XDG_STATE_HOME')})`,
  );
export const withDevice = (command: Command): Command =>
  withState(command).option('--device <FILE>', "this machine's key file (default: the one that was enrolled)");
export const withPublisher = (command: Command): Command =>
  command.option('--publisher <NAME=K>', 'trust this publisher (mgs1:…) for a model; repeat for more', collect);

/** `NAME=mgs1:…`, several for one name. */
export function publishersOf(given: readonly string[] = []): Record<string, string[]> {
  // A map: a model may be called `constructor`.
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

/** The folder is part of the profile: a device with two folders would not see a rollback in one of them. */
export const stateOf = (profile: Profile, { stateFolder }: ServerFlags): string | undefined =>
  stateFolder === undefined ? profile.state : resolve(stateFolder);

/** A client of the server of `profile`; flags replace parts of it. */
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
  return guardServerWithHooks(options, { pace: noticedPace });
}

/** Shorter pauses are not announced. */
const LONG_MS = 3_000;
/** Announces long pauses, with the reason, on standard error. */
const noticedPace: Pace = {
  ...pace,
  sleep(milliseconds, signal, cause) {
    const why = hasCode(cause, 'RATE_LIMITED') ? 'too many requests or log-ins in a minute' : 'it does not answer';
    if (milliseconds >= LONG_MS)
      process.stderr.write(`Waiting ${Math.ceil(milliseconds / 1000)} s before the guard server is asked again: ${why}\n`);
    return pace.sleep(milliseconds, signal);
  },
};

/** For requests that need no device. */
export const serverOf = async (flags: ServerFlags): Promise<GuardServer> => connect(await readProfile(flags.profile), flags);

/** For requests that only an enrolled device may make. */
export async function deviceServerOf(flags: ServerFlags): Promise<GuardServer> {
  const profile = await readProfile(flags.profile);
  const file = flags.device ?? profile.device;
  if (file === undefined)
    throw new ModelGuardError('INVALID_ARGUMENT', 'No device is enrolled here', {
      advice: 'Run `model-guard enroll --device device.key --name NAME` first, or name the key with --device.',
    });
  return connect(profile, flags, await DeviceKey.fromFile(file));
}
