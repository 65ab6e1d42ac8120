/** Decides what is believed of a server: statements of the pinned key, and of the successors that it named. */
import { randomBytes } from 'node:crypto';
import { encode } from '../base/bytes.js';
import {
  type Checkpoint,
  checkpointVerifies,
  readStatement,
  type Statement,
  type StatementBody,
  type StatementKind,
} from '../contract/index.js';
import { ModelGuardError } from '../errors.js';
import { type Clock, type Moment, refuseSkewed } from './clock.js';
import type { CallOptions, Client } from './http/client.js';
import { isAnswer } from './http/failures.js';
import { verifyToken } from './tokens.js';

/** The statement `server`, verified, and the signing keys that are trusted because of it. */
export interface Facts extends StatementBody<'server'> {
  /** The encryption key to seal to, `mgx1:…`. */
  readonly current: string;
  readonly trusted: readonly string[];
}

interface TrustOptions {
  readonly client: Client;
  /** `mgs1:…` */
  readonly pinned: string;
  readonly clock: Clock;
}

/** How long what was asked once is taken for current. */
const FRESH_SECONDS = 300;
const NONCE_BYTES = 32;

export class Trust {
  readonly #client: Client;
  readonly #clock: Clock;
  #trusted: readonly string[];
  #server: string | undefined;
  #facts: { readonly facts: Facts; readonly at: number } | undefined;

  constructor({ client, pinned, clock }: TrustOptions) {
    this.#client = client;
    this.#clock = clock;
    this.#trusted = [pinned];
  }

  get trusted(): readonly string[] {
    return this.#trusted;
  }
  /** The server's id, as soon as it is known. */
  get server(): string | undefined {
    return this.#server;
  }

  /** Adds the facts that an earlier process learned of this server. */
  recall(server: string, keys: readonly string[]): void {
    this.#server ??= server;
    if (this.#server === server) this.#trusted = [...new Set([...this.#trusted, ...keys])];
  }

  /** A statement of this server, signed just now. SERVER_UNTRUSTED, RESPONSE_INVALID, CLOCK_SKEWED */
  async read<Kind extends StatementKind>(kind: Kind, statement: Statement, asked: Moment): Promise<StatementBody<Kind>> {
    const said = readStatement(kind, statement, { trusted: this.#trusted, server: this.#server });
    refuseSkewed(said.time, asked, await this.#clock());
    this.#server = said.server;
    return said;
  }

  /** The latest facts, asked for again when they are more than a few minutes old. */
  async facts(options: CallOptions): Promise<Facts> {
    const { wall } = await this.#clock();
    if (this.#facts && Math.abs(wall - this.#facts.at) < FRESH_SECONDS) return this.#facts.facts;
    return await this.ask(options);
  }

  /** Asks the server for its statement. */
  async ask(options: CallOptions): Promise<Facts> {
    const asked = await this.#clock();
    const { server, succession } = await this.#client.call('server', {}, options);
    this.#succeed(succession);
    const said = await this.read('server', server, asked);
    const current = said.keys.find(({ state }) => state === 'current');
    if (!current) throw new ModelGuardError('RESPONSE_INVALID', 'The server names no current encryption key');
    const facts = { ...said, current: current.key, trusted: this.#trusted };
    this.#facts = { facts, at: asked.wall };
    return facts;
  }

  /**
   * Has the server sign a nonce of this moment, so that only a server with the pinned key, or a successor of it, is given a secret. A relay
   * passes too: TLS is what binds the connection to the server. Returns the server's time, signed after this was called. SERVER_UNTRUSTED,
   * CLOCK_SKEWED
   */
  async prove(options: CallOptions): Promise<number> {
    const nonce = encode(randomBytes(NONCE_BYTES));
    const asked = await this.#clock();
    const { statement, succession } = await this.#client
      .call('serverKey', { query: { nonce } }, options)
      .catch((cause: unknown) => {
        // The route is open, so that no server of this version refuses it.
        throw isAnswer(cause) ? unproved('The server does not prove that it has the key that is pinned', cause) : cause;
      });
    this.#succeed(succession);
    const said = await this.read('key', statement, asked);
    if (said.nonce !== nonce) throw unproved("The server's proof is for another nonce");
    return said.time;
  }

  /** In order, oldest first. Those from before the pinned key say nothing to us. */
  #succeed(succession: readonly Statement[]): void {
    for (const statement of succession) {
      if (!this.#trusted.includes(statement.key)) continue;
      const { next } = readStatement('succession', statement, { trusted: this.#trusted, server: this.#server });
      if (!this.#trusted.includes(next)) this.#trusted = [...this.#trusted, next];
    }
  }

  /** Checks that a new token was made by the server. SERVER_UNTRUSTED */
  async checkToken(token: string): Promise<void> {
    const asked = await this.#clock();
    const { statement } = await this.#client.call('jwks', {}, { attempts: 1 });
    // Only the signed statement counts, the bare key set is anybody's word.
    if (statement === undefined) return await this.#acceptOpaque(token);
    // Replaced since the proof.
    if (!this.#trusted.includes(statement.key)) await this.prove({ attempts: 1 });
    const { keys, server } = await this.read('jwks', statement, asked);
    // Its signed word that no token has a signature to check. Who must change a password first may not ask for more.
    if (keys.length === 0) return;
    await verifyToken(token, { server, keys }, asked.wall * 1000);
  }

  /** Tokens that only the server can check: if its statement says that it makes such. */
  async #acceptOpaque(token: string): Promise<void> {
    const { tokens } = await this.ask({ token, attempts: 1 });
    if (tokens === 'EdDSA')
      throw new ModelGuardError('SERVER_UNTRUSTED', 'The server shows no signed keys for the tokens that it says it signs');
  }
}

const unproved = (message: string, cause?: unknown): ModelGuardError =>
  new ModelGuardError('SERVER_UNTRUSTED', message, { cause });

/** SERVER_UNTRUSTED */
export function checkCheckpoint(checkpoint: Checkpoint, { auditKey, logId }: Facts): void {
  if (checkpoint.logId !== logId || !checkpointVerifies(checkpoint, auditKey))
    throw new ModelGuardError('SERVER_UNTRUSTED', "The checkpoint is not signed by the server's audit key");
}
