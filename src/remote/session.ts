/** The client's session with the server: one token at a time, renewed when it is needed. */
import { type AbortSignalLike, throwIfAborted, untilAborted } from '../base/abort.js';
import { hasCode } from '../errors.js';
import { isMissingPermission, passwordFirst } from './http/failures.js';

export interface Token {
  readonly token: string;
  /** Seconds since 1970. */
  readonly expires: number;
  readonly mustChangePassword: boolean;
}

/** Which token is wanted. */
export interface LogIn {
  /** One that the server does not accept any more. */
  readonly refused?: string | undefined;
  /** None that was there before. */
  readonly fresh?: boolean | undefined;
}

interface SessionOptions {
  /** Absent where the server wants no token. Runs once for all who wait for it, so no signal of theirs ends it. */
  readonly logIn?: ((wanted: LogIn) => Promise<Token>) | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A token that would end while a request is on its way is not used. */
const SPARE_SECONDS = 30;
/** @param now milliseconds since 1970 */
export const isUsable = ({ expires }: Pick<Token, 'expires'>, now: number): boolean => expires - SPARE_SECONDS > now / 1000;

export class Session {
  readonly #options: SessionOptions;
  #token: Token | undefined;
  #running: Promise<Token> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * Runs `task` with a token. Where the server does not accept it or refuses the account, once more with a fresh one, in case the token
   * ended or the role changed meanwhile; what the server says then is final. So is a refusal by which a fresh token changes nothing.
   */
  async authorised<T>(task: (token: string | undefined) => Promise<T>, signal?: AbortSignalLike): Promise<T> {
    const token = await this.token(signal);
    try {
      return await task(token?.token);
    } catch (error) {
      if (token?.mustChangePassword && hasCode(error, 'NOT_AUTHORISED')) throw passwordFirst(error);
      const forbidden = hasCode(error, 'NOT_AUTHORISED');
      if (!token || !(forbidden || hasCode(error, 'NOT_AUTHENTICATED')) || isMissingPermission(error)) throw error;
      const logIn = this.#token === token || !this.#token ? this.#logIn({ refused: token.token }) : Promise.resolve(this.#token);
      const fresh = await untilAborted(signal, logIn).catch((again: unknown) => {
        // A refusal stands until a fresh token shows otherwise: no limit on log-ins is to turn it into a server that is away.
        throw forbidden && !hasCode(again, 'ABORT_ERR') ? error : again;
      });
      return await task(fresh.token);
    }
  }

  /** The token, or a new one. */
  async token(signal?: AbortSignalLike): Promise<Token | undefined> {
    throwIfAborted(signal);
    if (!this.#options.logIn) return undefined;
    if (this.#token && isUsable(this.#token, this.#options.now())) return this.#token;
    return await untilAborted(signal, this.#logIn({}));
  }

  /** Everybody who wants a new token at the same time waits for the same one. */
  #logIn(wanted: LogIn): Promise<Token> {
    this.#running ??= this.#logInAnew(wanted).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #logInAnew(wanted: LogIn): Promise<Token> {
    this.#token = undefined;
    const { logIn } = this.#options;
    if (!logIn) throw new TypeError('this session has no credentials');
    const token = await logIn(wanted);
    this.#token = token;
    return token;
  }

  /** A new token, whatever there was. */
  async renewed(signal?: AbortSignalLike): Promise<Token | undefined> {
    throwIfAborted(signal);
    return this.#options.logIn && (await untilAborted(signal, this.#renew()));
  }

  async #renew(): Promise<Token> {
    // A log-in that runs may end with a token that was there before.
    while (this.#running) await this.#running.catch(() => undefined);
    return await this.#logIn({ fresh: true });
  }

  forget(): void {
    this.#token = undefined;
  }
}
