import type { Command } from 'commander';
import { MAX_SMALL } from '../../base/limits.js';
import { readBounded, writeAll, writeWhole } from '../../files/files.js';
import { rewrap } from '../../index.js';
import type { Context } from '../context.js';
import { example, withForce, withJson } from '../flags/common.js';
import {
  type OriginFlags,
  originOf,
  type RecipientChangeFlags,
  recipientChangeOf,
  withRecipientChange,
  withSigner,
} from '../flags/keys.js';
import { namingFile } from '../sdk.js';
import { formatBytes } from '../text.js';

interface Flags extends RecipientChangeFlags, Pick<OriginFlags, 'signer'> {
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerRewrap(program: Command, context: Context): void {
  const command = program
    .command('rewrap')
    .description('change the recipients of a small part; stops new openings only, after a leak use rekey')
    .argument('<SMALL>', 'small part')
    .argument('<OUT>', 'small part to write');
  withJson(withForce(withSigner(withRecipientChange(command))));
  example(command, 'model-guard rewrap defects.small for-line-2.small --identity master.key --recipient mgd1:…');
  command.action(async (input: string, out: string, flags: Flags) => {
    const { verifier } = flags.signer ? await originOf(flags) : {};
    const before = await readBounded(input, MAX_SMALL);
    const options = { ...(await recipientChangeOf(flags)), verifier, signal: context.signal };
    const small = await namingFile(input, () => rewrap(before, options));
    await writeWhole(out, (handle) => writeAll(handle, small), { overwrite: flags.force ?? false });
    context.print(flags.json, { file: out, bytes: small.length }, `${out}: ${formatBytes(small.length)}`);
  });
}
