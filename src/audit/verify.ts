import { isUint8Array } from 'node:util/types';
import { abortable, stoppable, throwIfAborted } from '../base/abort.js';
import { parse } from '../base/validate.js';
import { type Checkpoint, checkpointVerifies } from '../contract/proof.js';
import { ModelGuardError } from '../errors.js';
import { openRegular, readBounded, readSome, withFile, withFileErrors } from '../files/files.js';
import { verifyingBytes } from '../keys/public.js';
import { encodeKey } from '../keys/text.js';
import { stepwise } from '../native/work.js';
import { chainHead, EMPTY_HEAD, exportHeader } from './chain.js';
import { type Line, linesOf } from './lines.js';
import { auditCheckpoint, auditLogSource, verifyAuditLogOptions } from './options.js';
import type { AuditLogSource, AuditReport, VerifyAuditLogOptions } from './types.js';

const MAX_CHECKPOINT = 4096;
const PIECE = 256 * 1024;

/**
 * Whether an export of a guard server's audit log is the one that a checkpoint was signed for: every event up to it, unchanged, in
 * order, none missing and none added. Works offline and needs no secret. The export is streamed, whatever its size.
 * @param log The path of an export (`model-guard audit-log export`), its bytes, or its pieces as they arrive.
 * @returns How many events are covered. Later ones are counted, not checked. A last line without its line feed is no event.
 * @throws AUDIT_LOG_BROKEN, AUDIT_LOG_TRUNCATED · SIGNATURE_INVALID if the checkpoint was not signed by `key` · LIMIT_EXCEEDED for a line
 *   above 1 MiB · KEY_INVALID, KEY_TYPE_WRONG · INVALID_ARGUMENT, NOT_FOUND,
 *   PERMISSION_DENIED, SOURCE_UNSUPPORTED, IO_FAILED · ABORT_ERR
 * @see docs/server-protocol.md section 6
 * @example
 * const { covered, notCovered } = await verifyAuditLog('audit.jsonl', { checkpoint: 'checkpoint.json', key: 'mgs1:…' });
 */
export async function verifyAuditLog(log: AuditLogSource, options: VerifyAuditLogOptions): Promise<AuditReport> {
  const source = parse(auditLogSource, log, 'log');
  const { checkpoint: given, key, ...run } = parse(verifyAuditLogOptions, options);
  const auditKey = encodeKey('mgs1:', verifyingBytes(key, 'key'));
  const { signal } = run;
  return await abortable(signal, async () => {
    const checkpoint = typeof given === 'string' ? await readCheckpoint(given) : given;
    if (!checkpointVerifies(checkpoint, auditKey))
      throw new ModelGuardError('SIGNATURE_INVALID', 'The checkpoint was not signed by this audit key', {
        advice: 'Check that key and checkpoint belong to the same server; a checkpoint that was changed proves nothing.',
      });
    const following = (advance?: (bytes: number) => void) =>
      follow(linesOf(stoppable(piecesOf(source, advance), signal)), checkpoint, () => throwIfAborted(signal));
    const size = await sizeOf(source);
    return await (size === undefined ? following() : stepwise('verify', size, run, following));
  });
}

async function readCheckpoint(path: string): Promise<Checkpoint> {
  const text = Buffer.from(await readBounded(path, MAX_CHECKPOINT)).toString('utf8');
  try {
    return auditCheckpoint.parse(JSON.parse(text));
  } catch (cause) {
    throw new ModelGuardError('INVALID_ARGUMENT', `${path} is not a checkpoint`, {
      cause,
      advice: 'Give a file as `model-guard audit-log checkpoint` or a client wrote it.',
    });
  }
}

async function sizeOf(source: AuditLogSource): Promise<number | undefined> {
  if (isUint8Array(source)) return source.length;
  return typeof source === 'string' ? withFile(source, async ({ size }) => size) : undefined;
}

async function* piecesOf(source: AuditLogSource, advance?: (bytes: number) => void): AsyncGenerator<Uint8Array | string> {
  if (isUint8Array(source)) yield source;
  else if (typeof source !== 'string') yield* source;
  else {
    const { handle } = await openRegular(source);
    const buffer = Buffer.allocUnsafe(PIECE);
    try {
      for (;;) {
        const bytesRead = await withFileErrors('Cannot read', source, () => readSome(handle, buffer, null));
        if (bytesRead === 0) return;
        advance?.(bytesRead);
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  }
}

/** The chain over the lines, up to the checkpoint; what follows is only counted. */
async function follow(lines: AsyncIterable<Line>, checkpoint: Checkpoint, pause: () => void): Promise<AuditReport> {
  const { logId, seq: last, time } = checkpoint;
  let head: Uint8Array = EMPTY_HEAD;
  let events = -1;
  const times: string[] = [];
  for await (const line of lines) {
    pause();
    // Begun and not written to its end: no event.
    if (!line.ended) break;
    events++;
    if (events === 0) checkHeader(line, checkpoint);
    else if (events <= last) {
      times[events === 1 ? 0 : 1] = timeOf(line, events);
      head = chainHead(logId, events, head, line.bytes);
    }
  }
  if (events < last) throw truncated(events, last);
  if (Buffer.from(head).toString('hex') !== checkpoint.head)
    throw broken(`The chain does not lead to the checkpoint: among the events 1 to ${last}, at least one was changed`);
  const [first] = times;
  return {
    logId,
    events,
    covered: last,
    notCovered: events - last,
    head: checkpoint.head,
    checkpoint: { seq: last, time },
    ...(first !== undefined && { span: { first, last: times[1] ?? first } }),
  };
}

/** An export from event 1 has one header only, to the byte. */
function checkHeader({ bytes }: Line, { logId }: Checkpoint): void {
  if (Buffer.from(bytes).equals(Buffer.from(exportHeader(logId, 1, EMPTY_HEAD)))) return;
  const said = objectOf(bytes);
  if (typeof said?.logId === 'string' && said.logId !== logId)
    throw broken(`The export is of the log ${said.logId.slice(0, 32)}, the checkpoint of the log ${logId}`);
  if (typeof said?.from === 'number' && said.from > 1)
    throw new ModelGuardError('AUDIT_LOG_TRUNCATED', `The export begins with event ${said.from}; the chain begins with event 1`);
  throw broken('Line 1 is not the first line of an export');
}

/** The time of an event, unverified, to tell how far the log is whole; the chain decides. */
function timeOf({ bytes }: Line, n: number): string {
  const event = objectOf(bytes);
  if (event === undefined || typeof event.time !== 'string') throw broken(`Line ${n + 1} is not an event`, n);
  if (event.seq !== n) throw broken(`Line ${n + 1} holds event ${String(event.seq).slice(0, 20)} instead of ${n}`, n);
  return event.time;
}

function objectOf(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const broken = (what: string, at?: number): ModelGuardError =>
  new ModelGuardError('AUDIT_LOG_BROKEN', at === undefined ? what : `${what}; the damage is at or before event ${at}`);

const truncated = (events: number, wanted: number): ModelGuardError =>
  new ModelGuardError(
    'AUDIT_LOG_TRUNCATED',
    `The export ends after ${Math.max(events, 0)} whole events; the checkpoint was signed after ${wanted}`,
  );
