import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DeviceKey } from '../../index.js';
import type { Context } from '../context.js';
import { example, withJson } from '../flags/common.js';
import { connect, type ServerFlags, stateOf, withServer, withState } from '../flags/server.js';
import { readProfile, writeProfile } from '../profile.js';
import { rows } from '../text.js';

interface Flags extends ServerFlags {
  readonly device: string;
  readonly name: string;
  readonly json?: boolean;
}

export function registerEnroll(program: Command, context: Context): void {
  const command = program
    .command('enroll')
    .description('enrol this machine: send its public keys to the server, where they wait for approval')
    .requiredOption('--device <FILE>', "this machine's key file (keygen --type device, best with --sealed)")
    .requiredOption('--name <NAME>', 'what people call this machine');
  withJson(withState(withServer(command)));
  example(
    command,
    'model-guard keygen --type device --sealed --out device.key',
    'model-guard enroll --device device.key --name line-4',
  );
  command.action(async (flags: Flags) => {
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
