import type { Command } from 'commander';
import { protect } from '../../index.js';
import type { Context } from '../context.js';
import { example } from '../flags/common.js';
import { type RecipientFlags, recipientsOf, signingKey, withPassphrase, withRecipients } from '../flags/keys.js';
import { type PublishingFlags, publishingOf, withPublishing } from '../flags/publishing.js';
import { refuseFormerFlags } from '../flags/reference.js';
import { type StoreFlags, storesOf, withTarget } from '../flags/store.js';
import { publishedText, UNSIGNED_NOTE } from '../sealed-text.js';

interface Flags extends PublishingFlags, RecipientFlags, StoreFlags {
  readonly sign?: string;
}

export function registerProtect(program: Command, context: Context): void {
  const command = program
    .command('protect')
    .description('encrypt a file or folder, cut it in two, and publish both parts')
    .argument('<PATH>', 'file or folder')
    .argument('<NAME@VERSION>', 'name and version of the model, each [a-z0-9][a-z0-9._-]{0,127}')
    .option('--sign <FILE>', "the publisher's signing key file");
  refuseFormerFlags(command, 'protect PATH NAME@VERSION');
  withPublishing(withPassphrase(withRecipients(command), 'recipient'));
  withTarget(command);
  example(command, 'model-guard protect defects.onnx defects@3 --recipient mgd1:… --sign publisher.key --store /srv/models');
  command.action(async (path: string | Uint8Array, ref: string, flags: Flags) => {
    const result = await protect(path, {
      ...publishingOf(ref, flags, context),
      to: storesOf(flags, 'write'),
      recipients: await recipientsOf(flags),
      ...(flags.sign !== undefined && { signer: await signingKey(flags.sign) }),
    });
    if (flags.sign === undefined) context.note(UNSIGNED_NOTE);
    context.print(flags.json, result, publishedText(result));
  });
}
