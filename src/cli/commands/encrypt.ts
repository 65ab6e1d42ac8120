import type { Command } from 'commander';
import { encryptFile } from '../../index.js';
import { versionOf } from '../../remote/api/models.js';

import type { Context, RunFlags } from '../context.js';
import { example, withFollowLinks, withForce, withJson, withThreads } from '../flags/common.js';
import { type RecipientFlags, recipientsOf, signingKey, withPassphrase, withRecipients } from '../flags/keys.js';
import { withFormat } from '../flags/publishing.js';
import { refuseFormerFlags } from '../flags/reference.js';
import { sealedText, UNSIGNED_NOTE } from '../sealed-text.js';

interface Flags extends RecipientFlags, RunFlags {
  readonly sign?: string;
  readonly ref?: string;
  readonly format?: string;
  readonly force?: boolean;
  readonly followLinks?: boolean;
  readonly json?: boolean;
}

export function registerEncrypt(program: Command, context: Context): void {
  const command = program
    .command('encrypt')
    .description('encrypt a file or folder into one container file')
    .argument('<IN>', 'file or folder')
    .argument('<OUT>', 'container to write')
    .option('--sign <FILE>', "the publisher's signing key file")
    .option('--ref <NAME@VERSION>', 'name and version of the model (default: the normalised file name, version 0)');
  refuseFormerFlags(command, 'encrypt IN OUT --ref NAME@VERSION');
  withPassphrase(withRecipients(command), 'recipient');
  withThreads(withJson(withForce(withFollowLinks(withFormat(command)))));
  example(command, 'model-guard encrypt defects.onnx defects.mguard --recipient mgd1:… --sign publisher.key');
  command.action(async (input: string | Uint8Array, out: string, flags: Flags) => {
    const result = await encryptFile(input, out, {
      recipients: await recipientsOf(flags),
      overwrite: flags.force ?? false,
      ...(flags.sign !== undefined && { signer: await signingKey(flags.sign) }),
      ...(flags.ref !== undefined && versionOf(flags.ref)),
      ...(flags.format !== undefined && { format: flags.format }),
      ...(flags.followLinks && { followLinks: true }),
      ...context.run(flags),
    });
    if (flags.sign === undefined) context.note(UNSIGNED_NOTE);
    context.print(flags.json, { ...result, file: out }, sealedText(out, result));
  });
}
