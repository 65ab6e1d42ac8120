import { ModelGuardError } from '@org/model-guard/server-kit';

/** RATE_LIMITED, and for how long: the answer's `Retry-After`. */
export class TooMany extends ModelGuardError {
  constructor(
    readonly seconds: number,
    what = 'Too many attempts',
  ) {
    super('RATE_LIMITED', what, { advice: `Try again in ${seconds} seconds.` });
  }
}
