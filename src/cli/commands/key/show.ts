/** Shows the key that a file holds, to be compared with the ids that containers, servers and people name. */
import type { Command } from 'commander';
import { fingerprintOf } from '../../../contract/index.js';
import { isModelGuardError } from '../../../errors.js';
import type { Context } from '../../context.js';
import { withJson } from '../../flags/common.js';
import { decodeKey, isSealedFile, type KeyPrefix, keyIdOf, readAnyKey, readPublicText } from '../../sdk.js';
import { rows } from '../../text.js';

const X25519_BYTES = 32;
const PUBLIC_TYPES: Readonly<Record<KeyPrefix, string>> = {
  'mgx1:': 'public key',
  'mgd1:': 'public keys of a device',
  'mgs1:': 'public signing key',
};

interface KeyFacts {
  readonly file: string;
  readonly type: string;
  readonly sealed?: boolean | undefined;
  readonly publicKey?: string | undefined;
  /** The id in containers. */
  readonly keyId?: string | undefined;
  /** Groups of hex digits that people compare. */
  readonly fingerprint?: string | undefined;
  /** The code of the error that keeps a sealed key from opening here. */
  readonly closed?: string | undefined;
}

export function registerShow(key: Command, context: Context): void {
  const command = key
    .command('show')
    .description(
      'show the key that a file holds: its type, public part, ids, and whether it is sealed to a machine; nothing secret',
    )
    .argument('<FILE>', 'key file, or a file with a public key');
  withJson(command).action(async (file: string, { json }: { readonly json?: boolean }) => {
    const facts = await factsOf(file);
    context.print(json, facts, textOf(facts));
  });
}

async function factsOf(file: string): Promise<KeyFacts> {
  const text = await readPublicText(file);
  if (text !== undefined) {
    const { prefix } = decodeKey(text, ['mgx1:', 'mgd1:', 'mgs1:']);
    return { file, type: PUBLIC_TYPES[prefix], ...publicFacts(text) };
  }
  const sealed = await isSealedFile(file);
  try {
    const { type, publicKey } = (await readAnyKey(file)).toJSON();
    return { file, type, sealed, ...(publicKey !== undefined && publicFacts(publicKey)) };
  } catch (error) {
    if (!sealed || !isModelGuardError(error) || !CLOSED.test(error.code)) throw error;
    return { file, type: 'device', sealed, closed: error.code };
  }
}
/** Errors of a sealed key on a machine that does not open it. Its file is valid. */
const CLOSED = /^(HARDWARE|TPM|SALTS)_/;

function publicFacts(publicKey: string): Pick<KeyFacts, 'publicKey' | 'keyId' | 'fingerprint'> {
  const { bytes } = decodeKey(publicKey, ['mgx1:', 'mgd1:', 'mgs1:']);
  return { publicKey, keyId: keyIdOf(bytes.subarray(0, X25519_BYTES)), fingerprint: fingerprintOf(publicKey) };
}

function textOf({ type, sealed, publicKey, keyId, fingerprint, closed }: KeyFacts): string {
  return rows([
    ['type', type],
    ...(sealed === undefined ? [] : ([['sealed', sealed ? 'yes, to its machine' : 'no']] as const)),
    ...(closed === undefined ? [] : ([['public key', `only its own machine can tell it (${closed})`]] as const)),
    ...(publicKey === undefined || keyId === undefined || fingerprint === undefined
      ? []
      : ([
          ['public key', publicKey],
          ['key id', keyId],
          ['fingerprint', fingerprint],
        ] as const)),
  ]);
}
