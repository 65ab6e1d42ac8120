/** One account at one server: what every part of the client talks through. */
import type { AbortSignalLike } from '../base/abort.js';
import { type RouteAnswer, type RouteRequest, routes } from '../contract/index.js';
import { withRetries } from '../http/retry.js';
import type { Clock } from './clock.js';
import { SHORT_MS } from './device/unavailable.js';
import type { CallOptions, Client, JsonRoute } from './http/client.js';
import { type FindOutcome, isChanging, withOutcome } from './outcome.js';
import type { Session, Token } from './session.js';
import type { Facts, Trust } from './trust.js';

interface Signalled {
  readonly signal?: AbortSignalLike | undefined;
}

interface Brief extends Signalled {
  /** Where what was kept will do: asked again only after a short pause that the server announces. */
  readonly brief?: boolean | undefined;
}

export class Connection {
  constructor(
    readonly client: Client,
    readonly session: Session,
    readonly trust: Trust,
    readonly clock: Clock,
  ) {}

  /**
   * A route, with a token; asked again as its method allows. Where it changes something and its answer is lost, `find` says what it would
   * have answered.
   */
  call<Name extends JsonRoute>(
    name: Name,
    request: RouteRequest<Name>,
    { signal }: Signalled = {},
    find?: FindOutcome<RouteAnswer<Name>>,
  ): Promise<RouteAnswer<Name>> {
    const ask = () =>
      this.procedure({ repeatable: routes[name].method === 'GET', signal }, (options) =>
        this.client.call(name, request, options),
      );
    return isChanging(name) ? withOutcome(ask, { route: name, pace: this.client.pace, signal, find }) : ask();
  }

  /** Several calls that only together can be repeated. */
  procedure<T>(
    { repeatable, signal, brief }: Brief & { readonly repeatable: boolean },
    task: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    return this.#retried({ repeatable, signal, brief }, () =>
      this.session.authorised((token) => task({ token, signal, attempts: 1 }), signal),
    );
  }

  /** The token that there is, or a new one; with `fresh` a new one in any case. */
  token({ signal, fresh = false }: Signalled & { readonly fresh?: boolean | undefined } = {}): Promise<Token | undefined> {
    return this.#retried({ repeatable: true, signal }, () => (fresh ? this.session.renewed(signal) : this.session.token(signal)));
  }

  #retried<T>({ repeatable, signal, brief }: Brief & { readonly repeatable: boolean }, task: () => Promise<T>): Promise<T> {
    const { pace, patienceMs } = this.client;
    const bounds = brief ? { attempts: 1, patience: Math.min(SHORT_MS, patienceMs) } : { patience: patienceMs };
    return withRetries({ pace, repeatable, signal, ...bounds }, task);
  }

  /** Facts about the server, at most some minutes old. */
  facts({ signal, brief }: Brief = {}): Promise<Facts> {
    return this.procedure({ repeatable: true, signal, brief }, (options) => this.trust.facts(options));
  }

  /** The same, asked for now. */
  freshFacts({ signal }: Signalled = {}): Promise<Facts> {
    return this.procedure({ repeatable: true, signal }, (options) => this.trust.ask(options));
  }
}
