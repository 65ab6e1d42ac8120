/** The error of a key that the database names and the server does not have. */
import { ModelGuardError } from '@org/model-guard/server-kit';

/**
 * NOT_FOUND, for operators. Clients are told that the server failed (`http/errors.ts`): to them NOT_FOUND is about the thing that they
 * asked for, and ends a lease that they keep.
 */
export class MissingKeyError extends ModelGuardError {
  /** @param places The folders or files in which the key was looked for. */
  constructor(kind: 'encryption' | 'signing', key: string, places: readonly string[], cause?: unknown) {
    super('NOT_FOUND', `The ${kind} key ${key}, which the database names, cannot be read from ${places.join(' or ')}`, {
      cause,
      advice:
        'Restore the key files that belong to this database. All processes of a server share one keys folder; a database that is restored needs the keys of its time.',
    });
  }
}
