/** Reads recipients, identities, signers and publishers from flags. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { ModelGuardError } from '../../errors.js';
import {
  type DerivationOptions,
  hardware,
  type Identity,
  type MachineDemand,
  type MachineFactor,
  type OriginOptions,
  passphrase,
  type Recipient,
  type SigningKey,
} from '../../index.js';
import { looksLikeKey, readAnyKey, readPublicText } from '../sdk.js';

import { collect, numberOf, usage } from './common.js';
import { collectFactors } from './machine.js';

export interface RecipientFlags {
  readonly recipient?: readonly string[];
  readonly machine?: readonly string[];
  readonly requireFactor?: readonly MachineFactor[];
  readonly atLeastFactors?: string;
  readonly requireTpm?: true;
  readonly requireOwnSalts?: true;
  readonly passphraseFile?: string | undefined;
}

export interface IdentityFlags {
  readonly identity?: readonly string[];
  readonly hardware?: boolean;
  readonly passphraseFile?: string;
  readonly maxDerivations?: string;
}

/** Of commands that open a model and give it new recipients: `passphraseFile` is an identity there. */
export interface RecipientChangeFlags extends IdentityFlags, RecipientFlags {
  readonly passphraseFile?: string;
  readonly recipientPassphraseFile?: string;
}

export interface OriginFlags {
  readonly signer?: readonly string[];
  readonly unsigned?: 'accept';
}

export const withRecipients = (command: Command): Command =>
  command
    .option('--recipient <R>', 'public key text (mgx1:…, mgd1:…) or a key file; repeat for more', collect)
    .option('--machine <FILE>', 'a machine, by the file that it exported (fingerprint --out); repeat for more', collect)
    .option('--require-factor <F>', 'refuse a --machine that opens without this factor; repeat for more', collectFactors)
    .option('--at-least-factors <N>', 'refuse a --machine that opens with fewer than N factors')
    .option('--require-tpm', 'refuse a --machine that was exported without its TPM')
    .option('--require-own-salts', 'refuse a --machine that a build with other salts exported');

export const withIdentities = (command: Command): Command =>
  command
    .option('--identity <FILE>', 'key file that opens it; repeat for more', collect)
    .option('--hardware', 'this machine opens it')
    .option(
      '--max-derivations <N>',
      'give up after N key derivations from passphrases and machines (default: as many as they can need)',
    );

export const withPassphrase = (command: Command, what: string): Command =>
  command.option('--passphrase-file <FILE>', `a passphrase as ${what}: the text of FILE`);

export const withRecipientChange = (command: Command): Command =>
  withRecipients(withPassphrase(withIdentities(command), 'identity')).option(
    '--recipient-passphrase-file <FILE>',
    'a passphrase as new recipient: the text of FILE',
  );

export const withSigner = (command: Command): Command =>
  command.option(
    '--signer <PUBLIC>',
    "publisher's public key (mgs1:…), a file with it, or a signing key file; repeat for more",
    collect,
  );

export const withOrigin = (command: Command): Command =>
  withSigner(command).addOption(
    new Option('--unsigned <accept>', 'accept a model of any origin, instead of --signer').choices(['accept']),
  );

export async function recipientsOf({
  recipient = [],
  machine = [],
  passphraseFile,
  ...flags
}: RecipientFlags): Promise<Recipient[]> {
  const demand = demandOf(flags);
  if (demand && machine.length === 0)
    throw usage('--require-factor, --at-least-factors, --require-tpm and --require-own-salts are about --machine');
  const recipients: Recipient[] = [];
  for (const text of recipient) recipients.push(await recipientOf(text));
  for (const file of machine) recipients.push(hardware(file, demand));
  if (passphraseFile !== undefined) recipients.push(await passphrase({ file: passphraseFile }));
  if (recipients.length === 0) throw usage('Give at least one --recipient, --machine or passphrase');
  return recipients;
}

/** The identities that open, and the new recipients. */
export const recipientChangeOf = async (flags: RecipientChangeFlags) => ({
  ...(await openersOf(flags)),
  recipients: await recipientsOf({ ...flags, passphraseFile: flags.recipientPassphraseFile }),
});

function demandOf({ requireFactor, atLeastFactors, requireTpm, requireOwnSalts }: RecipientFlags): MachineDemand | undefined {
  const demand = {
    ...(requireFactor && { require: requireFactor }),
    ...(atLeastFactors !== undefined && { atLeast: numberOf(atLeastFactors) }),
    ...(requireTpm && { tpm: requireTpm }),
    ...(requireOwnSalts && { salts: 'this build' as const }),
  };
  return Object.keys(demand).length === 0 ? undefined : demand;
}

async function recipientOf(text: string): Promise<Recipient> {
  const publicText = looksLikeKey(text) ? text : await readPublicText(text);
  if (publicText !== undefined) return publicText;
  const key = await readAnyKey(text);
  if (key.type !== 'signing') return key;
  throw new ModelGuardError('KEY_TYPE_WRONG', `${text} holds a signing key; nothing can be encrypted to it`);
}

/** The identities, and how many derivations they may take. */
export async function openersOf({
  identity = [],
  hardware: machine,
  passphraseFile,
  maxDerivations,
}: IdentityFlags): Promise<{ identities: Identity[] } & DerivationOptions> {
  const identities: Identity[] = [];
  for (const file of identity) {
    const key = await readAnyKey(file);
    if (key.type === 'signing') throw new ModelGuardError('KEY_TYPE_WRONG', `${file} holds a signing key; it opens nothing`);
    identities.push(key);
  }
  if (machine) identities.push(hardware());
  if (passphraseFile !== undefined) identities.push(await passphrase({ file: passphraseFile }));
  if (identities.length === 0) throw usage('Give at least one --identity, --hardware or a passphrase');
  return { identities, ...(maxDerivations !== undefined && { maxDerivations: numberOf(maxDerivations) }) };
}

export async function originOf({ signer = [], unsigned }: OriginFlags): Promise<OriginOptions> {
  if (unsigned && signer.length > 0) throw usage('--signer and --unsigned exclude each other');
  if (unsigned) return { unsigned };
  if (signer.length > 0) return { verifier: await Promise.all(signer.map(publicSignerOf)) };
  throw new ModelGuardError('VERIFIER_REQUIRED', 'Nothing says whom to trust for the origin of this model', {
    advice: "Give the publisher's public key with --signer, or --unsigned accept if you know the origin otherwise.",
  });
}

async function publicSignerOf(text: string): Promise<string> {
  const publicText = looksLikeKey(text) ? text : await readPublicText(text);
  return publicText ?? (await signingKey(text)).publicKey.toString();
}

export async function signingKey(file: string): Promise<SigningKey> {
  const key = await readAnyKey(file);
  if (key.type === 'signing') return key;
  throw new ModelGuardError('KEY_TYPE_WRONG', `${file} holds a ${key.type} key, not a signing key`, {
    advice: 'Give your own signing key (`model-guard keygen --type signing` makes one).',
  });
}
