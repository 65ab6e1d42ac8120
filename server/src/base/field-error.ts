import { ModelGuardError } from '@org/model-guard/server-kit';

/** INVALID_ARGUMENT of one field of a request that its shape cannot refuse. */
export class FieldError extends ModelGuardError {
  constructor(
    readonly path: string,
    what: string,
    advice?: string,
  ) {
    super('INVALID_ARGUMENT', `${path} ${what}`, { advice });
  }
}
