/** The hash chain over the events' bytes, and the first line of an export (docs/server-protocol.md, section 6). */
import { createHash } from 'node:crypto';

/** `h_0`: the head of an empty log. */
export const EMPTY_HEAD: Uint8Array = new Uint8Array(48);

const PURPOSE = Buffer.from('model-guard/v1/audit\0');

/** `h_n`, from `h_{n-1}` and the bytes of event `n`. `logId`: 32 hex digits. */
export function chainHead(logId: string, n: number, previous: Uint8Array, bytes: Uint8Array): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(n));
  return createHash('sha384').update(PURPOSE).update(logId, 'hex').update(number).update(previous).update(bytes).digest();
}

/** The first line of an export whose first event is `from`; `before` is the head before it. */
export const exportHeader = (logId: string, from: number, before: Uint8Array): string =>
  JSON.stringify({ modelGuardAudit: 1, logId, from, before: Buffer.from(before).toString('hex') });
