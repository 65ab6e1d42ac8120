import type { Command } from 'commander';
import { protect } from '../../index.js';
import type { Context } from '../context.js';
import { example } from '../flags/common.js';
import { signingKey } from '../flags/keys.js';
import { type PublishingFlags, publishingOf, withPublishing } from '../flags/publishing.js';
import { refuseFormerFlags } from '../flags/reference.js';
import { type ServerFlags, serverOf, withServer } from '../flags/server.js';
import { publishedText } from '../sealed-text.js';

interface Flags extends PublishingFlags, ServerFlags {
  readonly sign: string;
}

export function registerPublish(program: Command, context: Context): void {
  const command = program
    .command('publish')
    .description('protect a file or folder and publish it on the guard server')
    .argument('<PATH>', 'file or folder')
    .argument('<NAME@VERSION>', 'name and version of the model, each [a-z0-9][a-z0-9._-]{0,127}')
    .requiredOption('--sign <FILE>', "the publisher's signing key file");
  refuseFormerFlags(command, 'publish PATH NAME@VERSION');
  withServer(withPublishing(command));
  example(command, 'model-guard publish defects.onnx defects@3 --sign publisher.key');
  command.action(async (path: string | Uint8Array, ref: string, flags: Flags) => {
    const result = await protect(path, {
      ...publishingOf(ref, flags, context),
      to: await serverOf(flags),
      signer: await signingKey(flags.sign),
    });
    const pending =
      result.state === 'pending'
        ? `\nIt waits for a validator or an administrator: \`model-guard release ${result.ref} --payload ${result.payloadId}\``
        : '';
    context.print(flags.json, result, `${publishedText(result)}${pending}`);
  });
}
