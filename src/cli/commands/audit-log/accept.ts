import type { Command } from 'commander';
import { shapes } from '../../../contract/index.js';
import { ModelGuardError } from '../../../errors.js';
import { readBounded } from '../../../files/files.js';
import type { RestoredLog } from '../../../index.js';
import type { Context } from '../../context.js';
import { deviceServerOf, type ServerFlags, withDevice, withServer } from '../../flags/server.js';

interface Flags extends ServerFlags {
  readonly fingerprint: string;
}

const MAX_STATEMENT = 1024 * 1024;

export function registerAccept(log: Command, context: Context): void {
  const command = log
    .command('accept')
    .description('on a device: accept that the server was restored, by the fingerprint that its administrator told you')
    .argument('<FILE>', 'the file that restored wrote')
    .requiredOption('--fingerprint <F>', 'ten groups of four hex digits, not from the network');
  withDevice(withServer(command)).action(async (file: string, flags: Flags) => {
    const statement = parseStatement(file, await readBounded(file, MAX_STATEMENT));
    const guard = await deviceServerOf(flags);
    await guard.audit.acceptRestored(statement, flags.fingerprint, { signal: context.signal });
    context.print(false, {}, 'This device goes on with the restored log.');
  });
}

function parseStatement(file: string, bytes: Uint8Array): RestoredLog['statement'] {
  try {
    return shapes.statement.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw new ModelGuardError('INVALID_ARGUMENT', `${file} is not a statement of a restored log`, {
      cause,
      advice: 'Give the file that `model-guard audit-log restored` wrote.',
    });
  }
}
