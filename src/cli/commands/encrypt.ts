import type { Command } from 'commander';
import { encryptFile } from '../../encrypt.js';
import type { SealedFile } from '../../types.js';
import type { Context, RunFlags } from '../context.js';
import {
  example,
  type RecipientFlags,
  recipientsOf,
  signingKey,
  withFollowLinks,
  withForce,
  withJson,
  withPassphrase,
  withRecipients,
  withThreads,
} from '../flags.js';
import { formatBytes, rows } from '../output.js';
import { UNSIGNED_NOTE } from './protect.js';

interface Flags extends RecipientFlags, RunFlags {
  readonly sign?: string;
  readonly name?: string;
  readonly modelVersion?: string;
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
    .option('--name <N>', 'name of the model (default: the normalised file name)')
    .option('--model-version <V>', 'its version (default: 0)')
    .option('--format <F>', 'what the model is (default: from its extension)');
  withPassphrase(withRecipients(command), 'recipient');
  withThreads(withJson(withForce(withFollowLinks(command))));
  example(command, 'model-guard encrypt defects.onnx defects.mguard --recipient mgd1:… --sign publisher.key');
  command.action(async (input: string | Uint8Array, out: string, flags: Flags) => {
    const result = await encryptFile(input, out, {
      recipients: await recipientsOf(flags),
      overwrite: flags.force ?? false,
      ...(flags.sign !== undefined && { signer: await signingKey(flags.sign) }),
      ...(flags.name !== undefined && { name: flags.name }),
      ...(flags.modelVersion !== undefined && { version: flags.modelVersion }),
      ...(flags.format !== undefined && { format: flags.format }),
      ...(flags.followLinks && { followLinks: true }),
      ...context.run(flags),
    });
    if (flags.sign === undefined) context.note(UNSIGNED_NOTE);
    context.print(flags.json, { ...result, file: out }, written(out, result));
  });
}

export const written = (out: string, { ref, bytes, payloadId, digest }: SealedFile): string =>
  `${out} holds ${ref}\n${rows([
    ['size', formatBytes(bytes)],
    ['payload id', payloadId],
    ['digest', digest],
  ])}`;
