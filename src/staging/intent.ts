/** Compares a staged publication with the one that a call asks for. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { throwIfAborted } from '../base/abort.js';
import { hex } from '../base/bytes.js';
import type { SplitRule } from '../engine/options.js';
import { ruleOf, type Sealing } from '../engine/seal.js';
import { withFileErrors } from '../files/files.js';
import { resolveSigner } from '../keys/signer.js';
import type { KeyHandle, NativeInput } from '../native/binding.js';
import { call } from '../native/index.js';
import { controlled } from '../native/work.js';
import { resolveRecipients } from '../recipients/resolve.js';
import type { StoreOptions } from '../stores/store.js';

const NONE = new Uint8Array();

/** Everything that decides what is encrypted, for whom, and where it is cut. */
export interface Intent {
  /** The digest of the facts that are not secret. */
  readonly source: string;
  /** Recipients without a public part: they are the same if they open the staged small part. */
  readonly secrets: readonly KeyHandle[];
  /** The public key of the signer. */
  readonly publishers: readonly Uint8Array[];
}

/**
 * A file is the same if its path, device, inode, size, modification time and change time are. Elsewhere the change time does not count; here it
 * does, since reproducible builds set the modification time back: what was staged before must not be published for other contents.
 */
export async function intentOf(sealing: Sealing, split: SplitRule | undefined, { signal }: StoreOptions): Promise<Intent> {
  const { ref, format, inputs } = sealing;
  const recipients = await resolveRecipients(sealing.recipients);
  const signer = resolveSigner(sealing.signer);
  const publisher = signer && call((native) => native.publicKeys(signer)).ed25519;
  const facts = {
    ref: [ref.name, ref.version],
    format,
    split: ruleOf(split),
    recipients: recipients.map((recipient) =>
      'key' in recipient ? call((native) => native.keyType(recipient.key)) : [recipient.kind, hex(recipient.publicPart)],
    ),
    publisher: hex(publisher ?? NONE),
    files: await filesOf(inputs, signal),
  };
  return {
    source: createHash('sha256').update(JSON.stringify(facts)).digest('hex'),
    secrets: recipients.flatMap((recipient) => ('key' in recipient ? recipient.key : [])),
    publishers: publisher ? [publisher] : [],
  };
}

async function filesOf(inputs: readonly NativeInput[], signal: StoreOptions['signal']) {
  const files: (readonly [path: string, ...facts: string[]])[] = [];
  for (const { path, onDisk = path } of inputs) {
    throwIfAborted(signal);
    const { size, mtimeNs, ctimeNs, dev, ino } = await withFileErrors('Cannot look up', onDisk, () =>
      stat(onDisk, { bigint: true }),
    );
    files.push([path, resolve(onDisk), ...[size, mtimeNs, ctimeNs, dev, ino].map(String)]);
  }
  return files.sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Throws unless `small` is of that model and signer, and every secret recipient opens it. */
export async function checkStaged(
  small: Uint8Array,
  { ref }: Pick<Sealing, 'ref'>,
  { secrets, publishers }: Intent,
  { signal }: StoreOptions,
): Promise<void> {
  const trust = { ...ref, publishers };
  call((native) => native.checkOrigin(small, trust));
  for (const key of secrets)
    await controlled(signal, (control) => call((native) => native.open({ small, identities: [key], trust, control })));
}
