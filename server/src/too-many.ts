import { ModelGuardError } from '@org/model-guard/server-kit';

/** RATE_LIMITED, and for how long: the answer's `Retry-After`. */
export class TooMany extends ModelGuardError {
  constructor(readonly seconds: number) {
    super('RATE_LIMITED', 'Too many attempts', { advice: `Try again in ${seconds} seconds.` });
  }
}
