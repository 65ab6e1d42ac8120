/** An audit log as a guard server exports it, made from the specification, and a checkpoint for it. */
import { createHash } from 'node:crypto';
import { type AuditCheckpoint, SigningKey } from '../../src/index.js';
import { signCheckpoint } from '../../src/server-kit/index.js';
import type { Random } from './seed.js';

export interface SampleLog {
  readonly logId: string;
  /** With the header; each without its line feed. */
  readonly lines: readonly string[];
  /** `h_0`, `h_1`, … */
  readonly heads: readonly Buffer[];
}

/** docs/server-protocol.md, section 6, written again from the text. */
export function sampleLog(random: Random, events: number, logId = Buffer.from(random.bytes(16)).toString('hex')): SampleLog {
  const heads = [Buffer.alloc(48)];
  const lines = [`{"modelGuardAudit":1,"logId":"${logId}","from":1,"before":"${'00'.repeat(48)}"}`];
  for (let n = 1; n <= events; n++) {
    const line = JSON.stringify({
      seq: n,
      time: new Date(1_790_000_000_000 + n * 1000).toISOString(),
      action: random.pick(['auth.login', 'leases.take', 'devices.list', 'models.publish']),
      outcome: random.pick(['success', 'failure', 'denied']),
      request: Buffer.from(random.bytes(8)).toString('hex'),
      subject: Buffer.from(random.bytes(16)).toString('hex'),
      box: Buffer.from(random.bytes(60)).toString('base64url'),
    });
    const number = Buffer.alloc(8);
    number.writeUInt32BE(n, 4);
    const parts = ['model-guard/v1/audit\0', Buffer.from(logId, 'hex'), number, heads[n - 1] as Buffer, line];
    const hash = createHash('sha384');
    for (const part of parts) hash.update(part);
    heads.push(hash.digest());
    lines.push(line);
  }
  return { logId, lines, heads };
}

export const exported = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));

export const auditKey = SigningKey.generate();

export const checkpointAt = ({ logId, heads }: SampleLog, seq: number, key = auditKey): AuditCheckpoint =>
  signCheckpoint(key, { logId, seq, head: (heads[seq] as Buffer).toString('hex'), time: 1_800_000_000 });
