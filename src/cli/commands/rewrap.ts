import type { Command } from 'commander';
import { MAX_SMALL } from '../../base/limits.js';
import { readBounded, writeAll, writeWhole } from '../../files/files.js';
import { rewrap } from '../../index.js';
import type { Context } from '../context.js';
import { example, withForce, withJson } from '../flags/common.js';
import {
  type IdentityFlags,
  type NewRecipientFlags,
  newRecipientsOf,
  type OriginFlags,
  openersOf,
  originOf,
  withIdentities,
  withPassphrase,
  withRecipientPassphrase,
  withRecipients,
  withSigner,
} from '../flags/keys.js';
import { namingFile } from '../sdk.js';
import { formatBytes } from '../text.js';

interface Flags extends IdentityFlags, NewRecipientFlags, Pick<OriginFlags, 'signer'> {
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerRewrap(program: Command, context: Context): void {
  const command = program
    .command('rewrap')
    .description('change the recipients of a small part; stops new openings only, after a leak use rekey')
    .argument('<SMALL>', 'small part')
    .argument('<OUT>', 'small part to write');
  withPassphrase(withIdentities(command), 'identity');
  withJson(withForce(withSigner(withRecipientPassphrase(withRecipients(command)))));
  example(command, 'model-guard rewrap defects.small for-line-2.small --identity master.key --recipient mgd1:…');
  command.action(async (input: string, out: string, flags: Flags) => {
    const { verifier } = flags.signer ? await originOf(flags) : {};
    const before = await readBounded(input, MAX_SMALL);
    const options = { ...(await openersOf(flags)), recipients: await newRecipientsOf(flags), verifier, signal: context.signal };
    const small = await namingFile(input, () => rewrap(before, options));
    await writeWhole(out, (handle) => writeAll(handle, small), { overwrite: flags.force ?? false });
    context.print(flags.json, { file: out, bytes: small.length }, `${out}: ${formatBytes(small.length)}`);
  });
}
