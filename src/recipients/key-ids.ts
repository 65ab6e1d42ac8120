/** Key ids, as containers carry them for their recipients: a hint which key opens (docs/format.md, section 6). */
import { createHash } from 'node:crypto';
import { hasCode, ModelGuardError } from '../errors.js';
import { describeHandle } from '../keys/key.js';
import type { KeyHandle, NativeHeaderInfo } from '../native/binding.js';
import { call } from '../native/index.js';
import { kinds } from './kinds.js';

const BYTES = 8;
/** A longer list ends with the number of the rest. */
const MOST_NAMED = 8;
const NO_ID = '0'.repeat(2 * BYTES);

/** 16 hex digits. */
export const keyIdOf = (publicKey: Uint8Array): string =>
  createHash('sha256')
    .update('model-guard/v1/id')
    .update(publicKey)
    .digest('hex')
    .slice(0, 2 * BYTES);

interface Given {
  readonly identities: readonly KeyHandle[];
  /** This machine, by any hardware slot. */
  readonly hardware: boolean;
  /** Public keys of machine files. */
  readonly machines: readonly Uint8Array[];
}

/** Names in NO_MATCHING_IDENTITY the keys that `small` is for, and the given ones. */
export async function withKeyIds<T>(small: Uint8Array, given: Given, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!hasCode(error, 'NO_MATCHING_IDENTITY')) throw error;
    const { name, version, slots } = call((native) => native.inspect(small));
    throw new ModelGuardError(
      'NO_MATCHING_IDENTITY',
      `None of the identities opens ${name}@${version}: it is for ${listed(slots.map(slotName))}; given was ${listed(namesOf(given))}`,
      { cause: error },
    );
  }
}

const slotName = ({ type, keyId }: NativeHeaderInfo['slots'][number]): string => {
  const noun = kinds.find((kind) => kind.type === type)?.noun;
  return `${noun === undefined ? 'an unknown recipient' : `a ${noun}`}${keyId === NO_ID ? '' : ` ${keyId}`}`;
};

const namesOf = ({ identities, hardware, machines }: Given): string[] => [
  ...identities.map((key) => {
    const { x25519 } = call((native) => native.publicKeys(key));
    return `${describeHandle(key)}${x25519 ? ` ${keyIdOf(x25519)}` : ''}`;
  }),
  ...(hardware ? ['this machine'] : []),
  ...machines.map((publicKey) => `the machine ${keyIdOf(publicKey)}`),
];

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'nothing';
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
