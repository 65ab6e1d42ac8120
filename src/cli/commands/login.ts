/** `login` and `enroll`: who we are to a guard server, and which machine this is. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { fingerprintOf } from '../../contract/index.js';
import { hasCode } from '../../errors.js';
import { readLine } from '../../files.js';
import { DeviceKey } from '../../keys/secret.js';
import type { Context } from '../context.js';
import { example, withJson } from '../flags.js';
import { rows } from '../output.js';
import { type Profile, readProfile, writeProfile } from '../profile.js';
import {
  connect,
  publishersOf,
  type ServerFlags,
  serverOf,
  stateOf,
  withPublisher,
  withServer,
  withState,
} from '../server-flags.js';

interface LoginFlags extends ServerFlags {
  readonly url: string;
  readonly serverKey: string;
  readonly ca?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly json?: boolean;
}

/** A profile that another user can change is refused before the password leaves; one that is damaged is replaced. */
async function profileBefore(given: string | undefined): Promise<Profile | undefined> {
  try {
    return await readProfile(given);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'INVALID_ARGUMENT')) return undefined;
    throw error;
  }
}

const whole = (path: string | undefined) => (path === undefined ? undefined : resolve(path));

export function registerLogin(program: Command, context: Context): void {
  const command = program
    .command('login')
    .description('log in to a guard server, check that it is the right one, and remember where it is; no password is kept')
    .requiredOption('--url <URL>', 'its address, https://…')
    .requiredOption('--server-key <K>', 'its signing key (mgs1:…), from a source you trust')
    .option('--ca <FILE>', 'certificate authority of its certificate, where it is an own one')
    .option('--client-certificate <FILE>', 'certificate of this client, where the server asks for one')
    .option('--client-key <FILE>', 'its key');
  withJson(withPublisher(withServer(command)));
  example(
    command,
    'model-guard login --url https://guard.example.com --server-key mgs1:… --credentials account.txt \\',
    '  --publisher defects=mgs1:…',
  );
  command.action(async (flags: LoginFlags) => {
    const { url, serverKey } = flags;
    const given: Profile = {
      url,
      serverKey,
      credentials: whole(flags.credentials),
      ca: whole(flags.ca),
      clientCertificate: whole(flags.clientCertificate),
      clientKey: whole(flags.clientKey),
      publishers: publishersOf(flags.publisher),
    };
    // Another log-in is no other machine.
    const before = await profileBefore(flags.profile);
    const { device, state } = before?.serverKey === serverKey ? before : {};
    const known: Profile = { ...given, device, state };
    const guard = await connect(known, flags);
    const account = await guard.account.get({ signal: context.signal });
    // Whoever must change the password may not ask for more yet.
    if (!account.mustChangePassword && account.role !== 'none') await guard.server({ signal: context.signal });
    const file = await writeProfile(flags.profile, known);
    if (account.mustChangePassword)
      context.note('This password was set by somebody else: change it now (`model-guard password --current FILE --new FILE`).');
    context.print(
      flags.json,
      { account, serverKey, profile: file },
      `Logged in to ${url} as ${account.email}\n${rows([
        ['role', account.role],
        ['server key', fingerprintOf(serverKey)],
        ['profile', file],
      ])}`,
    );
  });
}

interface PasswordFlags extends ServerFlags {
  readonly new: string;
  readonly current: string;
}

export function registerPassword(program: Command, context: Context): void {
  const command = program
    .command('password')
    .description('change the password of the own account')
    .requiredOption('--current <FILE>', 'file with the password as it is')
    .requiredOption('--new <FILE>', 'file with the new one, at least 12 characters');
  withServer(command);
  example(command, 'model-guard password --current old.txt --new new.txt');
  command.action(async (flags: PasswordFlags) => {
    const guard = await serverOf(flags);
    await guard.account.changePassword(await readLine(flags.current), await readLine(flags.new), { signal: context.signal });
    context.print(false, {}, 'The password is changed. Put the new one where your credentials are read from.');
  });
}

interface EnrollFlags extends ServerFlags {
  readonly device: string;
  readonly name: string;
  readonly json?: boolean;
}

export function registerEnroll(program: Command, context: Context): void {
  const command = program
    .command('enroll')
    .description('enrol this machine: its public keys go to the server, and wait for approval')
    .requiredOption('--device <FILE>', "this machine's key file (keygen --type device, best with --sealed)")
    .requiredOption('--name <NAME>', 'what people call this machine');
  withJson(withState(withServer(command)));
  example(
    command,
    'model-guard keygen --type device --sealed --out device.key',
    'model-guard enroll --device device.key --name line-4',
  );
  command.action(async (flags: EnrollFlags) => {
    const profile = await readProfile(flags.profile);
    const guard = await connect(profile, flags, await DeviceKey.fromFile(flags.device));
    const { device, fingerprint, state } = await guard.enroll(flags.name, { signal: context.signal });
    await writeProfile(flags.profile, { ...profile, device: resolve(flags.device), state: stateOf(profile, flags) });
    context.print(
      flags.json,
      { device: device.id, fingerprint, state },
      `${device.name} is enrolled${state === 'pending' ? ' and waits for approval' : `: ${state}`}\n${rows([
        ['device', device.id],
        ['fingerprint', fingerprint],
      ])}${state === 'pending' ? '\nTell the administrator this fingerprint over another way than the network.' : ''}`,
    );
  });
}
