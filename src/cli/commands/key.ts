/** `key show`: which key a file holds, so that it can be compared with what containers, servers and people name. */
import type { Command } from 'commander';
import { fingerprintOf } from '../../contract/index.js';
import { isModelGuardError } from '../../errors.js';
import { isSealedFile, readAnyKey, readPublicText } from '../../keys/any.js';
import { keyIdOf } from '../../keys/ids.js';
import { decodeKey, type KeyPrefix } from '../../keys/text.js';
import type { Context } from '../context.js';
import { example, withJson } from '../flags.js';
import { group } from '../groups.js';
import { rows } from '../output.js';

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
  /** As containers carry it. */
  readonly keyId?: string | undefined;
  /** As people compare it. */
  readonly fingerprint?: string | undefined;
  /** Why a sealed key does not tell its public keys here. */
  readonly closed?: string | undefined;
}

export function registerKey(program: Command, context: Context): void {
  const key = group(program, 'key', 'key files: show');
  const show = key
    .command('show')
    .description('show which key a file holds: its type, public part, ids, and whether it is sealed to a machine; nothing secret')
    .argument('<FILE>', 'key file, or a file with a public key');
  withJson(show).action(async (file: string, { json }: { readonly json?: boolean }) => {
    const facts = await factsOf(file);
    context.print(json, facts, textOf(facts));
  });
  example(key, 'model-guard key show device.key');
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
/** A sealed key is no less that key on another machine. */
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
