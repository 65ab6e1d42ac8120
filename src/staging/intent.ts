/** Whether what is staged is what a call would publish. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { throwIfAborted } from '../abort.js';
import { attempt } from '../files.js';
import { resolveRecipients, resolveSigner } from '../keys/resolve.js';
import type { KeyHandle, NativeInput } from '../native/binding.js';
import { call } from '../native/index.js';
import { controlled } from '../native/work.js';
import { ruleOf, type Sealing } from '../seal.js';
import type { StoreOptions } from '../stores/store.js';
import type { SplitRule } from '../types.js';

/** Everything that decides what is encrypted, for whom, and where it is cut. */
export interface Intent {
  /** The digest of what can be written down. */
  readonly source: string;
  /** Recipients whose keys say nothing in public: they are compared by whether they open what is staged. */
  readonly secrets: readonly KeyHandle[];
  /** Who signs. */
  readonly publishers: readonly Uint8Array[];
}

/** Files are told by path, size and time of change; by their place on the disk too, for times of contents are copied and set. */
export async function intentOf(sealing: Sealing, split: SplitRule | undefined, { signal }: StoreOptions): Promise<Intent> {
  const { ref, format, inputs } = sealing;
  const recipients = await resolveRecipients(sealing.recipients);
  const signer = resolveSigner(sealing.signer);
  const publisher = signer && call((native) => native.publicKeys(signer)).ed25519;
  const facts = {
    ref: [ref.name, ref.version],
    format,
    split: ruleOf(split),
    recipients: recipients.map(({ x25519, machine, key }) =>
      key ? call((native) => native.keyType(key)) : [x25519 ? 'x25519' : 'machine', hex(x25519 ?? machine)],
    ),
    publisher: hex(publisher),
    files: await filesOf(inputs, signal),
  };
  return {
    source: createHash('sha256').update(JSON.stringify(facts)).digest('hex'),
    secrets: recipients.flatMap(({ key }) => key ?? []),
    publishers: publisher ? [publisher] : [],
  };
}

async function filesOf(inputs: readonly NativeInput[], signal: StoreOptions['signal']) {
  const files: (readonly [path: string, ...facts: string[]])[] = [];
  for (const { path, onDisk = path } of inputs) {
    throwIfAborted(signal);
    const { size, mtimeNs, ctimeNs, dev, ino } = await attempt('Cannot look up', onDisk, () => stat(onDisk, { bigint: true }));
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
  const trust = { ...ref, publishers, leaseKeys: [] };
  call((native) => native.checkOrigin(small, trust));
  for (const key of secrets)
    await controlled(signal, (control) => call((native) => native.open({ small, identities: [key], trust, control })));
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
