/** A client that keeps checkpoints tells when a server went back. */
import { describe, expect, it } from 'vitest';
import { checkProgress } from '../../src/audit/progress.js';
import type { AuditCheckpoint } from '../../src/index.js';
import { failureOf } from '../support/failures.js';

const kept: AuditCheckpoint = { logId: '1'.repeat(32), seq: 10, head: 'a'.repeat(96), time: 1000, signature: 'x' };
const codeOf = async (shown: AuditCheckpoint) => (await failureOf(() => checkProgress(kept, shown))).code;

describe('checkProgress', () => {
  it('keeps the first, and every later one', () => {
    expect(checkProgress(undefined, kept)).toBe(kept);
    const later = { ...kept, seq: 11, head: 'b'.repeat(96), time: 1001 };
    expect(checkProgress(kept, later)).toBe(later);
    const signedAgain = { ...kept, time: 1001 };
    expect(checkProgress(kept, signedAgain)).toBe(signedAgain);
    expect(checkProgress(kept, { ...kept, time: 999 })).toBe(kept);
  });

  it('reports fewer events, however recently signed, other events, and another log', async () => {
    expect(await codeOf({ ...kept, seq: 9, time: 2000 })).toBe('AUDIT_LOG_ROLLED_BACK');
    expect(await codeOf({ ...kept, seq: 9, time: 900 })).toBe('AUDIT_LOG_ROLLED_BACK');
    expect(await codeOf({ ...kept, head: 'b'.repeat(96) })).toBe('AUDIT_LOG_ROLLED_BACK');
    expect(await codeOf({ ...kept, logId: '2'.repeat(32), seq: 99 })).toBe('AUDIT_LOG_ROLLED_BACK');
  });
});
