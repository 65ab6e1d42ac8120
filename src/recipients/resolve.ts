/** Converts a caller's recipients and identities to the addon's types, over the table of kinds. */
import { optionError } from '../errors.js';
import { wrongType } from '../keys/key.js';
import type { KeyHandle, NativeRecipient } from '../native/binding.js';
import { call } from '../native/index.js';
import type { Kind, Opener } from './kind.js';
import { kinds } from './kinds.js';

/**
 * INVALID_ARGUMENT for a recipient that is given twice, or for a second one of a kind that allows one; KEY_TYPE_WRONG; the errors of
 * the kind.
 */
export async function resolveRecipients(values: readonly unknown[]): Promise<NativeRecipient[]> {
  const seen = new Set<Kind>();
  const recipients: NativeRecipient[] = [];
  for (const [index, value] of values.entries()) {
    const where = `recipients[${index}]`;
    const { kind, recipient } = await resolveRecipient(value, where);
    if (kind.single && seen.has(kind))
      throw optionError('INVALID_ARGUMENT', where, `is a second ${kind.noun}; a container has at most one`);
    if (recipients.some((earlier) => isSame(earlier, recipient)))
      throw optionError('INVALID_ARGUMENT', where, 'was already given');
    seen.add(kind);
    recipients.push(recipient);
  }
  return recipients;
}

async function resolveRecipient(value: unknown, where: string) {
  for (const kind of kinds) {
    const recipient = await kind.recipient(value, where);
    if (recipient) return { kind, recipient };
  }
  throw wrongType(where, listed(kinds.map((kind) => kind.recipients)), value);
}

/** Two objects may hold one key: its file was read twice. Secret keys are compared natively. */
function isSame(one: NativeRecipient, other: NativeRecipient): boolean {
  if ('key' in one) return 'key' in other && call((native) => native.sameKey(one.key, other.key));
  return !('key' in other) && one.kind === other.kind && Buffer.compare(one.publicPart, other.publicPart) === 0;
}

export interface Identities {
  readonly identities: readonly KeyHandle[];
  /** This machine, by any hardware slot. */
  readonly hardware: boolean;
  /** This machine, by the slots that were made from these files alone. */
  readonly machineFiles: readonly string[];
}

/** KEY_TYPE_WRONG */
export function resolveIdentities(values: readonly unknown[]): Identities {
  const identities: KeyHandle[] = [];
  const machineFiles: string[] = [];
  let hardware = false;
  for (const [index, value] of values.entries()) {
    const opener = openerOf(value, `identities[${index}]`);
    if ('key' in opener) identities.push(opener.key);
    else if (opener.machineFile !== undefined) machineFiles.push(opener.machineFile);
    else hardware = true;
  }
  return { identities, hardware, machineFiles };
}

function openerOf(value: unknown, where: string): Opener {
  for (const kind of kinds) {
    const opener = kind.opener(value);
    if (opener) return opener;
  }
  throw wrongType(where, listed(kinds.map((kind) => kind.identities)), value);
}

const listed = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
