/** What a caller gave as recipients, identities, signer or verifier → what the addon takes. */
import { ModelGuardError, optionError } from '../errors.js';
import { readBounded } from '../files.js';
import type { KeyHandle, NativeKeyType, NativeRecipient } from '../native/binding.js';
import { call } from '../native/index.js';
import type { MachineDemand } from '../types.js';
import { type Machine, machineOf } from './hardware.js';
import { handleOf, publicBytesOf, wrongType } from './key.js';
import { verifyingBytes } from './public.js';
import { decodeKey } from './text.js';

const X25519_BYTES = 32;
/** Several times what the largest can have. */
const MAX_MACHINE_FILE = 64 * 1024;
const OPENING: ReadonlySet<NativeKeyType> = new Set(['master', 'device', 'passphrase']);

/**
 * Machine files are read here, so that a recipient is what they hold when something is encrypted. INVALID_ARGUMENT for one given
 * twice or a second passphrase; KEY_TYPE_WRONG, KEY_INVALID; what `hardware()` throws.
 */
export async function resolveRecipients(values: readonly unknown[]): Promise<NativeRecipient[]> {
  const seen = new Set<unknown>();
  const recipients: NativeRecipient[] = [];
  let passphrases = 0;
  for (const [index, value] of values.entries()) {
    const where = `recipients[${index}]`;
    const { recipient, identity } = await resolveRecipient(value, where);
    const { key } = recipient;
    if (key && call((native) => native.keyType(key)) === 'passphrase' && ++passphrases > 1)
      throw optionError('INVALID_ARGUMENT', where, 'is a second passphrase; a container has at most one');
    if (seen.has(identity)) throw optionError('INVALID_ARGUMENT', where, 'was already given');
    seen.add(identity);
    recipients.push(recipient);
  }
  return recipients;
}

/** `identity` is equal for two that are the same recipient. */
interface Resolved {
  readonly recipient: NativeRecipient;
  readonly identity: unknown;
}

async function resolveRecipient(value: unknown, where: string): Promise<Resolved> {
  if (typeof value === 'string') return x25519(decodeKey(value, ['mgx1:', 'mgd1:'], where).bytes);
  const known = publicBytesOf(value);
  if (known?.type === 'device-public') return x25519(known.bytes);
  const machine = machineOf(value);
  if (machine) return machineRecipient(machine, where);
  const handle = handleOf(value);
  const type = handle && call((native) => native.keyType(handle));
  if (type === 'master' || type === 'passphrase') return { recipient: { key: handle }, identity: handle };
  if (type === 'device') return x25519(call((native) => native.publicKeys(handle as KeyHandle)).x25519 as Uint8Array);
  throw wrongType(where, 'mgx1:… or mgd1:… text, a master key, device key or passphrase, or a machine file', value);
}

function x25519(publicKeys: Uint8Array): Resolved {
  const key = publicKeys.slice(0, X25519_BYTES);
  return { recipient: { x25519: key }, identity: hex(key) };
}

async function machineRecipient({ file, demand }: Machine, where: string): Promise<Resolved> {
  if (file === undefined)
    throw optionError('INVALID_ARGUMENT', where, 'hardware() is this machine; a recipient needs a machine file', {
      advice: "Export one on the target (`model-guard fingerprint --out machine.json`) and give it: hardware('machine.json').",
    });
  const { binding, publicKey } = await readMachineFile(file, demand);
  return { recipient: { machine: binding }, identity: hex(publicKey) };
}

async function readMachineFile(file: string, { require = [], atLeast = 1, tpm, salts }: MachineDemand) {
  const text = await readBounded(file, MAX_MACHINE_FILE);
  const read = call((native) => native.parseMachineFile(text, { require, atLeast }));
  if (tpm && !read.terms.tpm) throw new ModelGuardError('MACHINE_POLICY_WEAK', `${file} was exported without a TPM`);
  if (salts && read.terms.saltsId !== call((native) => native.salts()).id)
    throw new ModelGuardError('MACHINE_POLICY_WEAK', `${file} was exported by a build with other salts`);
  return read;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** What opens. */
export interface Identities {
  readonly identities: readonly KeyHandle[];
  /** This machine, by whichever hardware slot. */
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
    const handle = handleOf(value);
    const machine = machineOf(value);
    if (handle && OPENING.has(call((native) => native.keyType(handle)))) identities.push(handle);
    else if (machine?.file !== undefined) machineFiles.push(machine.file);
    else if (machine) hardware = true;
    else throw wrongType(`identities[${index}]`, 'a master key, device key or passphrase, or hardware()', value);
  }
  return { identities, hardware, machineFiles };
}

/** The public keys of machine files: the addon's hint which slots to try. */
export const machineKeys = (files: readonly string[]): Promise<Uint8Array[]> =>
  Promise.all(files.map(async (file) => (await readMachineFile(file, {})).publicKey));

export function resolveSigner(value: unknown): KeyHandle | undefined {
  if (value === undefined) return undefined;
  const handle = handleOf(value);
  if (handle && call((native) => native.keyType(handle)) === 'signing') return handle;
  throw wrongType('signer', 'a SigningKey', value);
}

/** Never empty: natively an empty list means that the origin is not checked. */
export function resolveVerifiers(value: unknown, where: string): Uint8Array[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (values.length === 0) throw optionError('INVALID_ARGUMENT', where, 'is an empty list');
  return values.map((one, index) => verifyingBytes(one, Array.isArray(value) ? `${where}[${index}]` : where));
}
