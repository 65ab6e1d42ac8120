import { type Command, Option } from 'commander';
import { migrate, type PartFiles } from '../../index.js';
import { type DerivationOptions, LegacyKey, type LegacyText } from '../../legacy/index.js';
import { versionOf } from '../../remote/api/models.js';

import type { Context, RunFlags } from '../context.js';
import { example, splitOf, usage, withForce, withJson, withSplitRule, withThreads } from '../flags/common.js';
import { type RecipientFlags, recipientsOf, signingKey, withPassphrase, withRecipients } from '../flags/keys.js';
import { refuseFormerFlags } from '../flags/reference.js';
import { type StoreFlags, storesOf, withTarget } from '../flags/store.js';
import { publishedText, sealedText, UNSIGNED_NOTE } from '../sealed-text.js';

interface KeyFlags {
  readonly keyFile?: string;
  readonly archiveFragmentFile?: string;
  readonly resourceKey?: boolean;
  readonly downloadKey?: boolean;
  readonly email?: string;
  readonly password?: string;
  readonly hardwareHash?: string;
  readonly salts?: string;
  readonly encoding: 'base64' | 'hex';
}

interface Flags extends KeyFlags, RecipientFlags, StoreFlags, RunFlags {
  readonly small?: string;
  readonly big?: string;
  readonly ref: string;
  readonly fileName?: string;
  readonly format?: string;
  readonly out?: string;
  readonly sign?: string;
  readonly sha256?: string;
  readonly force?: boolean;
  readonly maxBytes: string;
  readonly ratio: string;
  readonly json?: boolean;
}

const UNCHECKED_NOTE =
  'Nothing authenticated the artifact, and about 1 in 256 wrong keys goes unnoticed: compare what loads, or give --sha256.';

export function registerMigrate(program: Command, context: Context): void {
  const command = program
    .command('migrate')
    .description('turn an artifact of the legacy profile (docs/legacy.md) into a container, in one pass')
    .argument('[ARTIFACT]', 'artifact, unless --small and --big name its parts')
    .option('--small <FILE>', 'small part of the artifact')
    .option('--big <FILE>', 'big part of the artifact');
  withKey(command)
    .option('--sha256 <HEX>', 'SHA-256 of the plaintext; refuses any other')
    .requiredOption('--ref <NAME@VERSION>', 'name and version of the model, each [a-z0-9][a-z0-9._-]{0,127}')
    .option('--file-name <F>', 'what the file is called in the container (default: model)')
    .option('--format <F>', "what the model is (default: from the file name's extension)")
    .option('--sign <FILE>', "the publisher's signing key file")
    .option('--out <FILE>', 'container to write, instead of a store');
  refuseFormerFlags(command, 'migrate ARTIFACT --ref NAME@VERSION');
  withForce(withPassphrase(withRecipients(command), 'recipient'));
  withThreads(withJson(withSplitRule(withTarget(command))));
  example(
    command,
    'model-guard migrate defects.enc --key-file defects.keystring --sha256 9f86d0… --ref defects@3 \\',
    '  --file-name defects.onnx --recipient mgd1:… --sign publisher.key --store /srv/models',
  );
  command.action(async (artifact: string | undefined, flags: Flags) => {
    const source = artifactOf(artifact, flags);
    const { out } = flags;
    const to = out === undefined ? storesOf(flags, 'write') : undefined;
    if (out !== undefined) refuseStores(flags, command);
    const options = {
      key: await keyOf(flags),
      ...versionOf(flags.ref),
      recipients: await recipientsOf(flags),
      overwrite: flags.force ?? false,
      ...(flags.fileName !== undefined && { fileName: flags.fileName }),
      ...(flags.format !== undefined && { format: flags.format }),
      ...(flags.sha256 !== undefined && { plaintextSha256: flags.sha256 }),
      ...(flags.sign !== undefined && { signer: await signingKey(flags.sign) }),
      ...context.run(flags),
    };
    if (to) {
      const result = await migrate(source, { ...options, to, split: splitOf(flags) });
      remark(flags);
      context.print(flags.json, result, publishedText(result));
    } else {
      const file = out as string;
      const result = await migrate(source, { ...options, out: file });
      remark(flags);
      context.print(flags.json, { ...result, file }, sealedText(file, result));
    }
  });

  function remark({ sign, sha256 }: Flags): void {
    if (sign === undefined) context.note(UNSIGNED_NOTE);
    if (sha256 === undefined) context.note(UNCHECKED_NOTE);
  }
}

function artifactOf(artifact: string | undefined, { small, big }: Flags): string | PartFiles {
  if (artifact !== undefined && small === undefined && big === undefined) return artifact;
  if (artifact === undefined && small !== undefined && big !== undefined) return { small, big };
  throw usage('Give an artifact, or both --small and --big');
}

function refuseStores({ store, smallStore, bigStore }: StoreFlags, command: Command): void {
  if (store ?? smallStore ?? bigStore) throw usage('--out and stores exclude each other');
  if (['maxBytes', 'ratio'].some((flag) => command.getOptionValueSource(flag) === 'cli'))
    throw usage('--max-bytes and --ratio are for stores: a container file is whole');
}

const withKey = (command: Command): Command =>
  command
    .option('--key-file <FILE>', 'key: the key string in FILE')
    .option('--archive-fragment-file <FILE>', "key: the archive's fragment in FILE")
    .option('--resource-key', 'key: derived from the resource salt')
    .option('--download-key', 'key: derived from --email, --password and --hardware-hash')
    .option('--email <FROM>', 'file:PATH or env:NAME')
    .option('--password <FROM>', 'file:PATH or env:NAME')
    .option('--hardware-hash <FROM>', "file:PATH or env:NAME (default: this machine's)")
    .option('--salts <FILE>', 'salts file of the derivations (default: the salts of this build)')
    .addOption(new Option('--encoding <E>', 'how derived digests are written').choices(['base64', 'hex']).default('base64'));

async function keyOf(flags: KeyFlags): Promise<LegacyKey> {
  const { keyFile, archiveFragmentFile, resourceKey, downloadKey, salts, encoding } = flags;
  const ways = [keyFile, archiveFragmentFile, resourceKey, downloadKey].filter((way) => way !== undefined);
  if (ways.length !== 1) throw usage('Give one of --key-file, --archive-fragment-file, --resource-key, --download-key');
  const derivation = { encoding, ...(salts !== undefined && { salts }) };
  if (keyFile !== undefined) return LegacyKey.fromKeyString({ file: keyFile });
  if (archiveFragmentFile !== undefined) return LegacyKey.forArchive({ file: archiveFragmentFile });
  return resourceKey ? LegacyKey.forResource(derivation) : downloadKeyOf(flags, derivation);
}

async function downloadKeyOf({ email, password, hardwareHash }: KeyFlags, derivation: DerivationOptions): Promise<LegacyKey> {
  if (email === undefined || password === undefined) throw usage('--download-key needs --email and --password');
  return LegacyKey.forDownload({
    ...derivation,
    email: textOf('--email', email),
    password: textOf('--password', password),
    hardwareHash:
      hardwareHash === undefined
        ? await LegacyKey.hardwareHash(derivation)
        : await LegacyKey.fromKeyString(textOf('--hardware-hash', hardwareHash)),
  });
}

/** Never the text itself: other users see command lines. The message does not repeat it: it may be a secret. */
function textOf(flag: string, from: string): LegacyText {
  if (from.startsWith('file:')) return { file: from.slice('file:'.length) };
  if (from.startsWith('env:')) return { env: from.slice('env:'.length) };
  throw usage(`${flag} takes file:PATH or env:NAME, not the text itself`);
}
