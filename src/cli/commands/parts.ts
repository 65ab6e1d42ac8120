import type { Command } from 'commander';
import { readBounded, writeAll, writeWhole } from '../../files.js';
import { MAX_SMALL } from '../../limits.js';
import { rewrap } from '../../rewrap.js';
import { mergeFiles, splitFile } from '../../split.js';
import type { Context, RunFlags } from '../context.js';
import {
  example,
  type IdentityFlags,
  type NewRecipientFlags,
  newRecipientsOf,
  type OriginFlags,
  openersOf,
  originOf,
  splitOf,
  withForce,
  withIdentities,
  withJson,
  withPassphrase,
  withRecipientPassphrase,
  withRecipients,
  withSigner,
  withSplitRule,
  withThreads,
} from '../flags.js';
import { formatBytes } from '../output.js';

interface PartFlags extends RunFlags {
  readonly small: string;
  readonly big: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerSplit(program: Command, context: Context): void {
  const command = program
    .command('split')
    .description('cut a container into its small and its big part; no key is needed')
    .argument('<IN>', 'container')
    .requiredOption('--small <FILE>', 'small part to write')
    .requiredOption('--big <FILE>', 'big part to write; its .tree is written beside it');
  withSplitRule(withThreads(withJson(withForce(command))));
  example(command, 'model-guard split defects.mguard --small defects.small --big defects.big');
  command.action(async (input: string, flags: PartFlags & { readonly maxBytes: string; readonly ratio: string }) => {
    const { small, big, force: overwrite = false } = flags;
    const result = await splitFile(input, { small, big }, { ...splitOf(flags), overwrite, ...context.run(flags) });
    const text = `${small}: ${formatBytes(result.smallBytes)}, ${big}: ${formatBytes(result.bigBytes)}`;
    context.print(flags.json, { small, big, ...result }, text);
  });
}

export function registerMerge(program: Command, context: Context): void {
  const command = program
    .command('merge')
    .description('join two parts into a container, after checking that they belong together; no key is needed')
    .argument('<OUT>', 'container to write')
    .requiredOption('--small <FILE>', 'small part')
    .requiredOption('--big <FILE>', 'big part');
  withThreads(withJson(withForce(command)));
  example(command, 'model-guard merge defects.mguard --small defects.small --big defects.big');
  command.action(async (out: string, flags: PartFlags) => {
    const { small, big, force: overwrite = false } = flags;
    const result = await mergeFiles({ small, big }, out, { overwrite, ...context.run(flags) });
    context.print(flags.json, { file: out, ...result }, `${out}: ${formatBytes(result.bytes)}`);
  });
}

interface RewrapFlags extends IdentityFlags, NewRecipientFlags, Pick<OriginFlags, 'signer'> {
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
  command.action(async (input: string, out: string, flags: RewrapFlags) => {
    const { verifier } = flags.signer ? await originOf(flags) : {};
    const small = await rewrap(await readBounded(input, MAX_SMALL), {
      ...(await openersOf(flags)),
      recipients: await newRecipientsOf(flags),
      verifier,
      signal: context.signal,
    });
    await writeWhole(out, (handle) => writeAll(handle, small), { overwrite: flags.force ?? false });
    context.print(flags.json, { file: out, bytes: small.length }, `${out}: ${formatBytes(small.length)}`);
  });
}
