import type { Command } from 'commander';
import { type Verified, verify } from '../../index.js';
import type { Context, RunFlags } from '../context.js';
import { example, usage, withJson, withThreads } from '../flags/common.js';
import { type OriginFlags, originOf, withSigner } from '../flags/keys.js';
import { type StoreFlags, storesOf, withStores } from '../flags/store.js';
import { rows } from '../text.js';

interface Flags extends OriginFlags, StoreFlags, RunFlags {
  readonly json?: boolean;
}

export function registerVerify(program: Command, context: Context): void {
  const command = program
    .command('verify')
    .description("check the publisher's signature, and the signed payload if it is at hand")
    .argument('<FILE|NAME@VERSION>', 'container or small part; with --store, name@version');
  withThreads(withJson(withStores(withSigner(command))));
  example(
    command,
    'model-guard verify defects.mguard --signer mgs1:…',
    'model-guard verify defects@3 --signer mgs1:… --store /srv/models',
  );
  command.action(async (subject: string, flags: Flags) => {
    const { verifier } = await originOf(flags);
    if (verifier === undefined) throw usage('Give the publisher with --signer');
    const stored = [flags.store, flags.smallStore, flags.bigStore].some((folder) => folder !== undefined);
    const source = stored ? { ref: subject, from: storesOf(flags) } : subject;
    const result = await verify(source, { verifier, ...context.run(flags) });
    const { name, version } = result.info;
    const { ref, ...checked } = { ref: `${name}@${version}`, signature: 'checked', payload: result.payload };
    context.print(flags.json, { ref, ...checked, digest: result.info.digest }, verdict(ref, result));
  });
}

const verdict = (ref: string, { payload, info }: Verified): string =>
  `${ref} comes from the publisher\n${rows([
    ['signature', 'checked'],
    [
      'payload',
      payload === 'checked' ? 'checked: it is the one that was signed' : 'not here, so not checked: this is a small part',
    ],
    ['payload digest', info.digest],
  ])}`;
