/** Reads the two pairs of keys for the bucket from secrets: one reads, the other writes. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { findText, refuseGuessable, type SecretPlace } from '../../base/secrets.js';

export interface KeyPair {
  readonly id: string;
  readonly secret: string;
}
export interface KeyPairs {
  readonly read: KeyPair;
  readonly write: KeyPair;
}

const NAMES = ['s3_read_key_id', 's3_read_secret', 's3_write_key_id', 's3_write_secret'] as const;

/** @throws INVALID_ARGUMENT where one is missing; in production also where both pairs are the same, or a secret can be guessed */
export async function keyPairs(place: SecretPlace, environment: NodeJS.ProcessEnv = process.env): Promise<KeyPairs> {
  const found = await Promise.all(NAMES.map((name) => findText(place, name, environment)));
  const missing = NAMES.filter((_, index) => !found[index]);
  if (missing.length > 0)
    throw new ModelGuardError('INVALID_ARGUMENT', `The bucket needs the secrets ${listed(NAMES)}; missing: ${listed(missing)}`, {
      advice: `Put them into ${place.secretsFolder}, or into variables of the same names in capitals.`,
    });
  const [readId = '', readSecret = '', writeId = '', writeSecret = ''] = found;
  if (place.production && (readId === writeId || readSecret === writeSecret))
    throw new ModelGuardError('INVALID_ARGUMENT', 'The read pair and the write pair of the bucket are the same', {
      advice: 'Make two users: one that may only read objects, and one that may only write them.',
    });
  refuseGuessable(place, 's3_read_secret', readSecret);
  refuseGuessable(place, 's3_write_secret', writeSecret);
  return { read: { id: readId, secret: readSecret }, write: { id: writeId, secret: writeSecret } };
}

const listed = (names: readonly string[]): string => names.map((name) => `model_guard_${name}`).join(', ');
