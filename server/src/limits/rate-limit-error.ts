import { ModelGuardError } from '@org/model-guard/server-kit';

/** RATE_LIMITED with the seconds of the answer's `Retry-After`. */
export class RateLimitError extends ModelGuardError {
  constructor(
    readonly seconds: number,
    message = 'Too many attempts',
  ) {
    super('RATE_LIMITED', message, { advice: `Try again in ${seconds} s.` });
  }
}
