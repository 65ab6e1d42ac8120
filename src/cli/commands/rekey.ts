import type { Command } from 'commander';
import { rekey } from '../../index.js';
import type { Context, RunFlags } from '../context.js';
import { example, splitOf, withJson, withSplitRule, withThreads } from '../flags/common.js';
import {
  type OriginFlags,
  originOf,
  type RecipientChangeFlags,
  recipientChangeOf,
  signingKey,
  withOrigin,
  withRecipientChange,
} from '../flags/keys.js';
import { type StoreFlags, storesOf, withTarget } from '../flags/store.js';
import { publishedText } from '../sealed-text.js';

interface Flags extends RecipientChangeFlags, OriginFlags, StoreFlags, RunFlags {
  readonly sign: string;
  readonly maxBytes: string;
  readonly ratio: string;
  readonly json?: boolean;
}

export function registerRekey(program: Command, context: Context): void {
  const command = program
    .command('rekey')
    .description('encrypt a published model again under a new data key, after a leak; same name and version')
    .argument('<NAME@VERSION>', 'name and version')
    .requiredOption('--sign <FILE>', "the publisher's signing key file");
  withOrigin(withRecipientChange(command));
  withThreads(withJson(withSplitRule(withTarget(command))));
  example(
    command,
    'model-guard rekey defects@3 --identity master.key --recipient mgd1:… \\',
    '  --signer mgs1:… --sign publisher.key --store /srv/models',
  );
  command.action(async (ref: string, flags: Flags) => {
    const result = await rekey(ref, {
      store: storesOf(flags, 'write'),
      ...(await recipientChangeOf(flags)),
      signer: await signingKey(flags.sign),
      split: splitOf(flags),
      ...(await originOf(flags)),
      ...context.run(flags),
    });
    context.print(flags.json, result, publishedText(result));
  });
}
