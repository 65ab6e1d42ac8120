/** The audit log of the server. */

import type { AuditCheckpoint } from '../../audit/types.js';
import { parse, signal as signalSchema } from '../../base/validate.js';
import type { RouteRequest } from '../../contract/index.js';
import { readStatement, shapes, statementFingerprint } from '../../contract/index.js';
import { optionError } from '../../errors.js';
import type { Connection } from '../connection.js';
import type { Memory } from '../device/memory.js';
import { namingLog } from '../device/memory.js';
import { paged } from '../http/pages.js';
import { fingerprintText } from '../options.js';
import type { AuditEvent, RestoredLog } from '../records.js';
import { checkCheckpoint } from '../trust.js';
import type { AuditQuery, CallerOptions } from '../types.js';

/** The audit log. `verifyAuditLog` checks an export, without the server. */
export class Audit {
  readonly #connection: Connection;
  readonly #memory: Memory | undefined;
  /** @internal */
  constructor(connection: Connection, memory: Memory | undefined) {
    this.#connection = connection;
    this.#memory = memory;
  }

  /** Page after page, as the iteration goes on. */
  events({ signal, ...query }: AuditQuery & CallerOptions = {}): AsyncIterable<AuditEvent> {
    return paged(signal, (cursor) => this.#connection.call('auditEvents', { query: { ...query, cursor } }, { signal }));
  }

  /** The stored bytes of all events, a line each, as they come. */
  async *export({ signal }: CallerOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    parse(signalSchema.optional(), signal, 'signal');
    const answer = await this.#connection.procedure({ repeatable: true, signal }, (options) =>
      this.#connection.client.open('exportAudit', {}, options),
    );
    yield* answer.pieces();
  }

  /**
   * A signed position of the log, to keep outside the server. With a device key it is compared with what this device has seen.
   * @throws SERVER_UNTRUSTED, AUDIT_LOG_ROLLED_BACK
   */
  async checkpoint(options: CallerOptions = {}): Promise<AuditCheckpoint> {
    const facts = await this.#connection.facts(options);
    const before = await this.#memory?.before(options.signal);
    const ask = (query: RouteRequest<'auditCheckpoint'>['query']) => this.#connection.call('auditCheckpoint', { query }, options);
    const answer = before ? await namingLog(before, (seen) => ask(seen.checkpoint ?? {})) : await ask({});
    const { history, ...checkpoint } = answer;
    checkCheckpoint(checkpoint, facts);
    if (before) await this.#memory?.learnCheckpoint(before, facts.server, { checkpoint, history });
    return checkpoint;
  }

  /**
   * After the server was restored from a backup, for administrators: has the server sign that its log goes on from what it holds now.
   * Give the fingerprint to those who keep devices, over another way than the network, and the statement over any.
   * @param lost The newest position of the lost log: from the error of a device, or from a checkpoint that was kept outside
   * @throws INVALID_ARGUMENT if the log holds that position: then nothing was lost
   */
  stateRestored(lost: { readonly seq: number; readonly head: string }, options: CallerOptions = {}): Promise<RestoredLog> {
    const { seq, head } = lost;
    return this.#connection.call('stateRestored', { body: { seq, head } }, options);
  }

  /**
   * Accepts such a statement for this device: what it kept of the lost log gives way to what the restored one holds.
   * @param fingerprint As the administrator told it: ten groups of four hex digits
   * @throws INVALID_ARGUMENT without a device key, or if the fingerprint is another one · SERVER_UNTRUSTED if the server did not sign it ·
   *   AUDIT_LOG_ROLLED_BACK if the device has seen a newer position than the statement gives up
   */
  async acceptRestored(statement: RestoredLog['statement'], fingerprint: string, options: CallerOptions = {}): Promise<void> {
    if (!this.#memory) throw optionError('INVALID_ARGUMENT', 'options.device', 'is required to accept a restored log');
    const given = parse(shapes.statement, statement, 'statement');
    const plain = (text: string): string => text.replace(/\s+/g, '').toLowerCase();
    if (plain(statementFingerprint(given)) !== plain(parse(fingerprintText, fingerprint, 'fingerprint')))
      throw optionError('INVALID_ARGUMENT', 'fingerprint', 'is not that of this statement', {
        // Not the right one: it would be copied, and not compared.
        advice:
          'Compare it with what the administrator says over another way than the network; if they differ, this is not the statement that was made.',
      });
    const facts = await this.#connection.facts(options);
    // Recalls the server's keys that this device has learned to trust.
    await this.#memory.before(options.signal);
    const said = readStatement('restored', given, { trusted: facts.trusted, server: facts.server });
    checkCheckpoint(said.checkpoint, facts);
    await this.#memory.acceptRestored(said);
  }
}
