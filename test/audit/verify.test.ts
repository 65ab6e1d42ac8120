/** Offline verification: no change of an audit log up to a checkpoint escapes, and nothing but the public key is needed. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainHead } from '../../src/audit/chain.js';
import { type AuditLogSource, DeviceKey, SigningKey, type VerifyAuditLogOptions, verifyAuditLog } from '../../src/index.js';
import { auditKey, checkpointAt, exported, sampleLog } from '../support/audit-log.js';
import { tampering } from '../support/audit-tampering.js';
import { failureOf } from '../support/failures.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const random = seeded('audit log');
const key = `${auditKey.publicKey}`;
const EVENTS = scaled(10_000, 300);
const COVERED = Math.floor(EVENTS * 0.8);
const log = sampleLog(random, EVENTS);
const checkpoint = checkpointAt(log, COVERED);
const bytes = exported(log.lines);
const verified = (source: AuditLogSource, change: Partial<VerifyAuditLogOptions> = {}) =>
  verifyAuditLog(source, { checkpoint, key, ...change });
const line = (n: number): string => log.lines[n] as string;
const codeOf = async (source: AuditLogSource, change: Partial<VerifyAuditLogOptions> = {}) =>
  (await failureOf(() => verified(source, change))).code;
async function* inPieces(whole: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}

describe('a log that nobody changed', () => {
  it('is covered up to the checkpoint; later events are counted as not covered', async () => {
    const time = (n: number) => (JSON.parse(log.lines[n] as string) as { time: string }).time;
    expect(await verified(bytes)).toEqual({
      logId: log.logId,
      events: EVENTS,
      covered: COVERED,
      notCovered: EVENTS - COVERED,
      head: checkpoint.head,
      checkpoint: { seq: COVERED, time: checkpoint.time },
      span: { first: time(1), last: time(COVERED) },
    });
  });

  it('is the same from a file, from bytes, and from pieces of any size; key and checkpoint in either form', async () => {
    const folder = temporaryFolder('audit');
    writeFileSync(path.join(folder, 'audit.jsonl'), bytes);
    writeFileSync(path.join(folder, 'checkpoint.json'), JSON.stringify(checkpoint));
    const whole = await verified(bytes);
    const fromFile = await verifyAuditLog(path.join(folder, 'audit.jsonl'), {
      checkpoint: path.join(folder, 'checkpoint.json'),
      key: auditKey.publicKey,
    });
    expect(fromFile).toEqual(whole);
    for (const size of [1 + random.integer(9), 100 + random.integer(900), 2 ** 16])
      expect(await verified(inPieces(bytes, size))).toEqual(whole);
  });

  it('may hold any Unicode, also where text is cut within a character', async () => {
    const odd = { ...log, lines: [line(0), line(1).replace('"action":"', '"action":"😀é')] };
    const heads = [log.heads[0] as Buffer, chainHead(log.logId, 1, log.heads[0] as Buffer, Buffer.from(odd.lines[1] as string))];
    const units = odd.lines.map((one) => `${one}\n`).join('');
    async function* text() {
      for (let at = 0; at < units.length; at++) yield units.charAt(at);
    }
    expect(await verified(text(), { checkpoint: checkpointAt({ ...odd, heads }, 1) })).toMatchObject({ covered: 1 });
  });

  it('is covered whole, or not at all, as the checkpoint says', async () => {
    expect(await verified(bytes, { checkpoint: checkpointAt(log, EVENTS) })).toMatchObject({ covered: EVENTS, notCovered: 0 });
    const none = await verified(bytes, { checkpoint: checkpointAt(log, 0) });
    expect(none).toMatchObject({ covered: 0, notCovered: EVENTS });
    expect(none).not.toHaveProperty('span');
  });
});

const replaced = (n: number, ...by: string[]): string[] => [...log.lines.slice(0, n), ...by, ...log.lines.slice(n + 1)];

const short = sampleLog(random, 60);
const sizes = [
  { what: 'of 60 events', changed: short, covered: 50, runs: 200 },
  { what: `of ${EVENTS} events`, changed: log, covered: COVERED, runs: 3 },
];
for (const { what, changed, covered, runs } of sizes)
  describe(`a log ${what} that somebody changed`, () => {
    const signed = checkpointAt(changed, covered);
    const { changes, places } = tampering(changed, covered);
    for (const [change, apply] of Object.entries(changes))
      it(`is found out: ${change}`, async () => {
        const refused = fc.asyncProperty(places, async (place) => {
          expect(['AUDIT_LOG_BROKEN', 'AUDIT_LOG_TRUNCATED']).toContain(await codeOf(apply(place), { checkpoint: signed }));
        });
        await fc.assert(refused, { seed: random.seed, numRuns: runs });
      });
  });

describe('a log that somebody changed', () => {
  it('is found out when every line end is converted, and when a byte order mark is put in front', async () => {
    expect(await codeOf(Buffer.from(bytes.toString().replaceAll('\n', '\r\n')))).toBe('AUDIT_LOG_BROKEN');
    expect(await codeOf(Buffer.concat([Buffer.from('\ufeff'), bytes]))).toBe('AUDIT_LOG_BROKEN');
  });

  it('fails as truncated where it ends early, to the byte', async () => {
    const end = exported(log.lines.slice(0, COVERED + 1)).length;
    expect(await codeOf(bytes.subarray(0, end - 1))).toBe('AUDIT_LOG_TRUNCATED');
    expect(await codeOf(exported(log.lines.slice(0, COVERED)))).toBe('AUDIT_LOG_TRUNCATED');
    expect(await codeOf(exported(log.lines.slice(0, 1)))).toBe('AUDIT_LOG_TRUNCATED');
    expect(await codeOf(new Uint8Array())).toBe('AUDIT_LOG_TRUNCATED');
    expect(await verified(bytes.subarray(0, end))).toMatchObject({ covered: COVERED, notCovered: 0 });
  });

  it('has no event in a last line without its line feed, whether the checkpoint covers it or not', async () => {
    const whole = exported(log.lines.slice(0, COVERED + 3));
    expect(await verified(whole)).toMatchObject({ events: COVERED + 2, notCovered: 2 });
    // The line that follows is one event that is not written to its end, or the whole of it but for its line feed.
    for (const begun of ['{', line(COVERED + 3), line(COVERED + 3).slice(0, -1), '\r'])
      expect(await verified(Buffer.concat([whole, Buffer.from(begun)])), begun).toMatchObject({
        events: COVERED + 2,
        covered: COVERED,
        notCovered: 2,
      });
    expect(await verified(whole.subarray(0, -1))).toMatchObject({ events: COVERED + 1, notCovered: 1 });
    const empty = checkpointAt(log, 0);
    for (const cut of ['', line(0), line(0).slice(0, 20)])
      expect(await codeOf(Buffer.from(cut), { checkpoint: empty }), cut).toBe('AUDIT_LOG_TRUNCATED');
    expect(await verified(exported([line(0)]), { checkpoint: empty })).toMatchObject({ events: 0, covered: 0 });
  });

  it('takes lines of 1 MiB without their line feed, and none that are longer, after the checkpoint either', async () => {
    const covered = exported(log.lines.slice(0, COVERED + 1));
    const longest = 'x'.repeat(1024 * 1024);
    expect(await verified(Buffer.concat([covered, Buffer.from(`${longest}\n`)]))).toMatchObject({ notCovered: 1 });
    expect(await codeOf(Buffer.concat([covered, Buffer.from(`${longest}y\n`)]))).toBe('LIMIT_EXCEEDED');
    expect(await codeOf(Buffer.concat([covered, Buffer.from(`${longest}y`)]))).toBe('LIMIT_EXCEEDED');
  });

  it('fails as truncated where it does not begin with event 1', async () => {
    const before = (log.heads[4] as Buffer).toString('hex');
    const header = JSON.stringify({ modelGuardAudit: 1, logId: log.logId, from: 5, before });
    expect(await codeOf(exported([header, ...log.lines.slice(5)]))).toBe('AUDIT_LOG_TRUNCATED');
  });

  it('is not accepted with another header, or as the log of another server', async () => {
    const header = log.lines[0] as string;
    const others = [
      header.replace('Audit":1', 'Audit":2'),
      header.replace('"from":1', '"from":0'),
      `${header} `,
      '',
      'null',
      '[]',
    ];
    others.push(header.replace(/0"}$/, '1"}'), header.replace('}', ',"more":1}'));
    for (const other of others) expect(await codeOf(exported(replaced(0, other)))).toBe('AUDIT_LOG_BROKEN');
    const elsewhere = sampleLog(random, COVERED);
    const error = await failureOf(() => verified(exported(elsewhere.lines)));
    expect(error.code).toBe('AUDIT_LOG_BROKEN');
    expect(error.message).toContain(elsewhere.logId);
  });

  it('says up to where it can tell', async () => {
    const missing = await failureOf(() => verified(exported(replaced(7))));
    expect(missing.message).toMatch(/^Line 8 holds event 8 instead of 7; the damage is at or before event 7\./);
    const garbled = await failureOf(() => verified(exported(replaced(9, '{"seq":9'))));
    expect(garbled.message).toMatch(/^Line 10 is not an event/);
  });

  it('is not seen after the checkpoint: those events are not covered', async () => {
    const lines = [...log.lines.slice(0, COVERED + 1), 'anything', '{"seq":1}'];
    expect(await verified(exported(lines))).toMatchObject({ covered: COVERED, notCovered: 2 });
  });
});

describe('what is given', () => {
  it('must be a checkpoint that the key signed, unchanged', async () => {
    expect(await codeOf(bytes, { key: SigningKey.generate().publicKey })).toBe('SIGNATURE_INVALID');
    const changes = [{ seq: COVERED - 1 }, { time: 1 }, { logId: '0'.repeat(32) }, { head: '0'.repeat(96) }];
    for (const change of changes)
      expect(await codeOf(bytes, { checkpoint: { ...checkpoint, ...change } })).toBe('SIGNATURE_INVALID');
    const forged = checkpointAt(log, EVENTS, SigningKey.generate());
    expect(await codeOf(bytes, { checkpoint: forged })).toBe('SIGNATURE_INVALID');
  });

  it('must be a key that verifies', async () => {
    expect(await codeOf(bytes, { key: 'nonsense' })).toBe('KEY_INVALID');
    expect(await codeOf(bytes, { key: `${DeviceKey.generate().publicKey}` })).toBe('KEY_TYPE_WRONG');
    expect(await codeOf(bytes, { key: auditKey as never })).toBe('KEY_TYPE_WRONG');
  });

  it('is checked', async () => {
    expect(await codeOf('')).toBe('INVALID_ARGUMENT');
    expect(await codeOf(7 as never)).toBe('INVALID_ARGUMENT');
    expect(await codeOf(bytes, { checkpoint: {} as never })).toBe('INVALID_ARGUMENT');
    expect(await codeOf(bytes, { other: 1 } as never)).toBe('INVALID_ARGUMENT');
    expect(await codeOf('/nowhere/audit.jsonl')).toBe('NOT_FOUND');
    const folder = temporaryFolder('audit');
    expect(await codeOf(folder)).toBe('SOURCE_UNSUPPORTED');
    writeFileSync(path.join(folder, 'checkpoint.json'), 'not JSON');
    expect(await codeOf(bytes, { checkpoint: path.join(folder, 'checkpoint.json') })).toBe('INVALID_ARGUMENT');
    writeFileSync(path.join(folder, 'checkpoint.json'), '{}');
    expect(await codeOf(bytes, { checkpoint: path.join(folder, 'checkpoint.json') })).toBe('INVALID_ARGUMENT');
  });
});

describe('a source that does not end', () => {
  it('is refused once a line is longer than 1 MiB, whatever its pieces', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 64 * 1024;
        yield new Uint8Array(64 * 1024).fill(0x61);
      }
    }
    expect(await codeOf(endless())).toBe('LIMIT_EXCEEDED');
    expect(given).toBeLessThan(2 * 1024 * 1024);
    expect(await codeOf(Buffer.alloc(1024 * 1024 + 1, 0x61))).toBe('LIMIT_EXCEEDED');
    expect(await codeOf(Buffer.alloc(1024 * 1024, 0x61))).toBe('AUDIT_LOG_TRUNCATED');
  });

  it('is stopped by a signal, and closed', async () => {
    const controller = new AbortController();
    let closed = false;
    async function* slow() {
      try {
        for (const line of log.lines) {
          if (line === log.lines[20]) controller.abort(new Error('enough'));
          yield `${line}\n`;
        }
      } finally {
        closed = true;
      }
    }
    const error = await failureOf(() => verified(slow(), { signal: controller.signal }));
    expect(error.name).toBe('AbortError');
    expect(closed).toBe(true);
  });

  it('fails as its own reading fails', async () => {
    // biome-ignore lint/correctness/useYield: it fails before it has anything to give.
    async function* failing(): AsyncGenerator<Uint8Array> {
      throw new RangeError('of the source');
    }
    await expect(verified(failing())).rejects.toThrow('of the source');
  });
});
