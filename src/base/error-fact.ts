import { isError } from '../errors.js';

/** A fact that the library keeps with an error for its own use. Messages, JSON, logs and copies do not show it. */
export class ErrorFact<Value> {
  readonly #key: symbol;

  constructor(name: string) {
    this.#key = Symbol(name);
  }

  /** Replaces an earlier value. A frozen error stays without the fact. */
  set<Failure extends Error>(error: Failure, value: Value): Failure {
    Reflect.defineProperty(error, this.#key, { value, configurable: true });
    return error;
  }

  get(error: unknown): Value | undefined {
    return isError(error) ? (error as Error & Record<symbol, Value | undefined>)[this.#key] : undefined;
  }
}
