import type { Command } from 'commander';
import { protect } from '../../protect.js';
import { rekey } from '../../rekey.js';
import type { ProtectedModel } from '../../types.js';
import type { Context, RunFlags } from '../context.js';
import {
  example,
  type IdentityFlags,
  type NewRecipientFlags,
  newRecipientsOf,
  type OriginFlags,
  openersOf,
  originOf,
  type RecipientFlags,
  recipientsOf,
  signingKey,
  splitOf,
  withFollowLinks,
  withForce,
  withIdentities,
  withJson,
  withOrigin,
  withPassphrase,
  withRecipientPassphrase,
  withRecipients,
  withResume,
  withSplitRule,
  withThreads,
} from '../flags.js';
import { formatBytes, rows } from '../output.js';
import { type StoreFlags, storesOf, withTarget } from '../store-flags.js';

interface ProtectFlags extends RecipientFlags, StoreFlags, RunFlags {
  readonly name: string;
  readonly modelVersion: string;
  readonly sign?: string;
  readonly force?: boolean;
  readonly followLinks?: boolean;
  readonly format?: string;
  readonly resume?: string;
  readonly maxBytes: string;
  readonly ratio: string;
  readonly json?: boolean;
}

export const UNSIGNED_NOTE = 'Not signed: whoever loads it must accept an unsigned model. Use --sign to sign it.';

export function registerProtect(program: Command, context: Context): void {
  const command = program
    .command('protect')
    .description('encrypt a file or folder, cut it in two, and publish both parts as NAME@VERSION')
    .argument('<PATH>', 'file or folder')
    .requiredOption('--name <N>', 'name of the model, [a-z0-9][a-z0-9._-]{0,127}')
    .requiredOption('--model-version <V>', 'its version, same grammar')
    .option('--sign <FILE>', "the publisher's signing key file")
    .option('--format <F>', 'what the model is (default: from its extension)');
  withForce(withFollowLinks(withResume(command)), 'replace the published version');
  withPassphrase(withRecipients(command), 'recipient');
  withThreads(withJson(withSplitRule(withTarget(command))));
  example(
    command,
    'model-guard protect defects.onnx --name defects --model-version 3 \\',
    '  --recipient mgd1:… --sign publisher.key --store /srv/models',
  );
  command.action(async (path: string | Uint8Array, flags: ProtectFlags) => {
    const result = await protect(path, {
      name: flags.name,
      version: flags.modelVersion,
      to: storesOf(flags, 'write'),
      recipients: await recipientsOf(flags),
      overwrite: flags.force ?? false,
      split: splitOf(flags),
      ...(flags.sign !== undefined && { signer: await signingKey(flags.sign) }),
      ...(flags.format !== undefined && { format: flags.format }),
      ...(flags.resume !== undefined && { resume: flags.resume }),
      ...(flags.followLinks && { followLinks: true }),
      ...context.run(flags),
    });
    if (flags.sign === undefined) context.note(UNSIGNED_NOTE);
    context.print(flags.json, result, published(result));
  });
}

interface RekeyFlags extends IdentityFlags, NewRecipientFlags, OriginFlags, StoreFlags, RunFlags {
  readonly sign: string;
  readonly maxBytes: string;
  readonly ratio: string;
  readonly json?: boolean;
}

export function registerRekey(program: Command, context: Context): void {
  const command = program
    .command('rekey')
    .description('encrypt a published model again under a new data key, after a leak; same name and version')
    .argument('<N@V>', 'name@version')
    .requiredOption('--sign <FILE>', "the publisher's signing key file");
  withPassphrase(withIdentities(command), 'identity');
  withOrigin(withRecipientPassphrase(withRecipients(command)));
  withThreads(withJson(withSplitRule(withTarget(command))));
  example(
    command,
    'model-guard rekey defects@3 --identity master.key --recipient mgd1:… \\',
    '  --signer mgs1:… --sign publisher.key --store /srv/models',
  );
  command.action(async (ref: string, flags: RekeyFlags) => {
    const result = await rekey(ref, {
      store: storesOf(flags, 'write'),
      ...(await openersOf(flags)),
      recipients: await newRecipientsOf(flags),
      signer: await signingKey(flags.sign),
      split: splitOf(flags),
      ...(await originOf(flags)),
      ...context.run(flags),
    });
    context.print(flags.json, result, published(result));
  });
}

export const published = ({ ref, payloadId, digest, smallBytes, bigBytes }: ProtectedModel): string =>
  `${ref} is published\n${rows([
    ['small part', formatBytes(smallBytes)],
    ['big part', formatBytes(bigBytes)],
    ['payload id', payloadId],
    ['digest', digest],
  ])}`;
