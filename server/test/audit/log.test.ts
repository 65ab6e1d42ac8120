/** The log records everything that happens, in a chain that the SDK verifies offline; its export is the stored bytes. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verifyAuditLog } from '@org/model-guard';
import { AUDIT_ACTIONS, type Checkpoint, checkpointVerifies, decode, readStatement } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkpointNow, latestCheckpoint } from '../../src/audit/checkpoints.js';
import type { AuditEntry } from '../../src/context.js';
import { FairQueue } from '../../src/limits/fair-queue.js';
import { startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const exported = async (): Promise<Buffer> => {
  const answer = await server.request('admin', 'exportAudit');
  expect(answer.statusCode).toBe(200);
  return answer.rawPayload;
};
const checkpoint = async (): Promise<Checkpoint> => (await server.request('admin', 'auditCheckpoint')).json();
const auditKey = async (): Promise<string> => {
  const answer = (await server.request('operator', 'server')).json();
  const trusted = [server.context.keys.signing.publicKey.toString()];
  return readStatement('server', answer.server, { trusted, server: server.context.serverId }).auditKey;
};
const last = () => server.context.db.selectFrom('audit').selectAll().orderBy('seq', 'desc').limit(1).executeTakeFirstOrThrow();
const entry = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  action: 'server.read',
  outcome: 'success',
  caller: { address: '192.0.2.0', request: 'a-request' },
  ...change,
});

describe('the list of actions', () => {
  it('names each once, in order, and none that the server does not record', () => {
    const folder = fileURLToPath(new URL('../../src', import.meta.url));
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    const source = files.map((name) => readFileSync(join(folder, name), 'utf8')).join('');
    expect(AUDIT_ACTIONS).toEqual([...new Set(AUDIT_ACTIONS)].sort());
    expect(AUDIT_ACTIONS.filter((action) => !source.includes(`'${action}'`))).toEqual([]);
  });
});

describe('an event', () => {
  it('has exactly the bytes that the protocol fixes, and its head follows from them', async () => {
    server.clock.now = 1_790_000_000;
    const before = await last();
    await server.context.audit.record(entry({ resource: 'model:defects@3', detail: 'a detail' }));
    const row = await last();
    const { subject } = row;
    const box = /"box":"([A-Za-z0-9_-]+)"}$/.exec(row.bytes.toString())?.[1];
    expect(row.bytes.toString()).toBe(
      `{"seq":${before.seq + 1},"time":"2026-09-21T14:13:20.000Z","action":"server.read","outcome":"success",` +
        `"resource":"model:defects@3","request":"a-request","subject":"${subject}","box":"${box}"}`,
    );
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(BigInt(row.seq));
    const parts = [
      Buffer.from('model-guard/v1/audit\0'),
      Buffer.from(server.context.logId, 'hex'),
      number,
      before.head,
      row.bytes,
    ];
    expect(row.head.equals(createHash('sha384').update(Buffer.concat(parts)).digest())).toBe(true);
  });

  it('names no resource and no request where there is none', async () => {
    server.clock.now = 1_790_000_000;
    await server.context.audit.record(entry({ caller: { address: '192.0.2.0', request: '' } }));
    const { seq, bytes, subject } = await last();
    expect(bytes.toString().replace(/"box":"[A-Za-z0-9_-]+"/, '"box":"…"')).toBe(
      `{"seq":${seq},"time":"2026-09-21T14:13:20.000Z","action":"server.read","outcome":"success","subject":"${subject}","box":"…"}`,
    );
  });

  it('is boxed under the account that it is about, else the one that did it, else the day', async () => {
    const { operator, apiAdmin } = server.accounts;
    const by = (account: typeof operator) => ({ address: '192.0.2.0', request: 'r', account });
    await server.context.audit.record(entry({ caller: by(apiAdmin), subject: operator.subject }));
    expect(await last()).toMatchObject({ subject: operator.subject, actor: apiAdmin.subject });
    await server.context.audit.record(entry({ caller: by(apiAdmin) }));
    expect(await last()).toMatchObject({ subject: apiAdmin.subject, actor: null });
    await server.context.audit.record(entry());
    const unknown = await last();
    const day = await server.context.db
      .selectFrom('subjects')
      .selectAll()
      .where('id', '=', String(unknown.subject))
      .executeTakeFirst();
    expect(day).toMatchObject({ kind: 'day', day: new Date(server.clock.now * 1000).toISOString().slice(0, 10) });
    await server.context.audit.record(entry());
    expect((await last()).subject).toBe(unknown.subject);
  });

  it('is not there when what it tells about did not happen', async () => {
    const before = await last();
    const failing = server.context.db.transaction().execute(async (trx) => {
      await server.context.audit.append(trx, entry());
      throw new RangeError('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    expect((await last()).seq).toBe(before.seq);
  });

  it('keeps its place when many come at once', async () => {
    const before = await last();
    await Promise.all(Array.from({ length: 100 }, () => server.context.audit.record(entry())));
    expect((await last()).seq).toBe(before.seq + 100);
  });
});

describe('the export', () => {
  it('takes a turn of its account for each hundred events, so that nothing else waits for the whole log', async () => {
    for (let n = 0; n < 101; n++) await server.context.audit.record(entry());
    const { seq } = await last();
    const turns = vi.spyOn(FairQueue.prototype, 'run');
    try {
      await exported();
      const keys = turns.mock.calls.map(([key]) => key);
      // With the event of the export itself.
      expect(keys).toEqual(Array.from({ length: Math.ceil((seq + 1) / 100) }, () => server.accounts.admin.id));
    } finally {
      turns.mockRestore();
    }
  });

  it('verifies offline with the key that the server states, and tells of itself', async () => {
    const key = await auditKey();
    const log = await exported();
    const found = await verifyAuditLog(log, { checkpoint: await checkpoint(), key }).catch((error: unknown) => error);
    // The checkpoint was signed after the export, which ends before it.
    expect(found).toMatchObject({ code: 'AUDIT_LOG_TRUNCATED' });
    const signed = await checkpoint();
    const report = await verifyAuditLog(await exported(), { checkpoint: signed, key });
    expect(report).toMatchObject({ logId: server.context.logId, covered: signed.seq, notCovered: 1 });
    const lines = log.toString().trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) as string)).toMatchObject({ action: 'audit.export', outcome: 'success' });
  });

  it('is what is stored, over several batches, up to the moment when it began', async () => {
    for (let n = 0; n < 12; n++)
      await server.context.db.transaction().execute(async (trx) => {
        for (let m = 0; m < 100; m++) await server.context.audit.append(trx, entry());
      });
    const [log] = await Promise.all([exported(), server.context.audit.record(entry())]);
    const rows = await server.context.db.selectFrom('audit').select('bytes').orderBy('seq').execute();
    const lines = log.toString().split('\n').slice(1, -1);
    expect(lines.length).toBeGreaterThan(1200);
    expect(lines).toEqual(rows.slice(0, lines.length).map(({ bytes }) => bytes.toString()));
  });

  it('shows a change of the database', async () => {
    const key = await auditKey();
    const signed = await checkpoint();
    const row = await server.context.db.selectFrom('audit').selectAll().where('seq', '=', 5).executeTakeFirstOrThrow();
    const forged = Buffer.from(row.bytes.toString().replace(/"outcome":"[a-z]+"/, '"outcome":"failure"'));
    await server.context.db.updateTable('audit').set({ bytes: forged }).where('seq', '=', 5).execute();
    await expect(verifyAuditLog(await exported(), { checkpoint: signed, key })).rejects.toMatchObject({
      code: 'AUDIT_LOG_BROKEN',
    });
    await server.context.db.updateTable('audit').set({ bytes: row.bytes }).where('seq', '=', 5).execute();
    await verifyAuditLog(await exported(), { checkpoint: signed, key });
  });
});

describe('a checkpoint', () => {
  it('is not made anew for every lease, but soon, and after many events', async () => {
    const first = await checkpointNow(server.context);
    expect(await latestCheckpoint(server.context)).toEqual(first);
    await server.context.audit.record(entry());
    expect(await latestCheckpoint(server.context)).toEqual(first);
    server.clock.advance(5);
    const second = await latestCheckpoint(server.context);
    expect(second).toMatchObject({ seq: first.seq + 1, time: server.clock.now });
    for (let n = 0; n < 64; n++) await server.context.audit.record(entry());
    expect((await latestCheckpoint(server.context))?.seq).toBe(first.seq + 65);
    server.clock.advance(3600);
    // Nothing new happened: nothing is signed.
    expect((await latestCheckpoint(server.context))?.time).toBe(server.clock.now - 3600);
    expect(await server.context.db.selectFrom('checkpoints').select('seq').execute()).toHaveLength(1);
  });

  it('is made for all that ask at once', async () => {
    await checkpointNow(server.context);
    await server.context.audit.record(entry());
    server.clock.advance(5);
    let begun = 0;
    const db = new Proxy(server.context.db, {
      get: (target, name) => {
        if (name === 'transaction') begun++;
        const found: unknown = Reflect.get(target, name);
        return typeof found === 'function' ? found.bind(target) : found;
      },
    });
    const all = await Promise.all(Array.from({ length: 20 }, () => latestCheckpoint({ ...server.context, db })));
    expect(new Set(all.map((one) => one?.signature)).size).toBe(1);
    // On each connection, a call that has read just before may make one more.
    expect(begun).toBeLessThanOrEqual(4);
  });

  it('is signed by the audit key alone', async () => {
    const signed = await checkpoint();
    expect(checkpointVerifies(signed, await auditKey())).toBe(true);
    expect(checkpointVerifies(signed, server.context.keys.signing.publicKey.toString())).toBe(false);
    expect(decode(signed.signature)).toHaveLength(64);
  });

  it('goes on where it was after a restart', async () => {
    const own = await startTestServer();
    try {
      const signed: Checkpoint = (await own.request('admin', 'auditCheckpoint')).json();
      const again = await own.restart();
      const later: Checkpoint = (await again.request('admin', 'auditCheckpoint')).json();
      expect(later).toMatchObject({ logId: signed.logId });
      expect(later.seq).toBeGreaterThan(signed.seq);
      const log = (await again.request('admin', 'exportAudit')).rawPayload;
      const key = again.context.keys.audit.publicKey;
      await verifyAuditLog(log, { checkpoint: signed, key });
      await verifyAuditLog(log, { checkpoint: later, key });
      await again.close();
    } finally {
      await own.close();
    }
  });
});

describe('unknown callers', () => {
  it('are forgotten after the retention time, to the day; the chain stays whole', async () => {
    const own = await startTestServer({ config: { unknownLoginRetentionDays: 7 } });
    try {
      const body = { email: 'mallory@example.net', password: 'guess' };
      expect((await own.request(undefined, 'token', { body })).statusCode).toBe(401);
      const day = async () =>
        (await own.context.db.selectFrom('subjects').select('id').where('kind', '=', 'day').execute()).length;
      const shown = async () => (await own.request('admin', 'auditEvents', { query: { action: 'auth.login' } })).json().items[0];
      expect((await shown()).personal.detail).toContain('mallory@example.net');
      await own.context.cleanup.run();
      expect(await day()).toBe(1);
      own.clock.advance(7 * 86_400);
      await own.context.cleanup.run();
      expect(await day()).toBe(1);
      own.clock.advance(86_400);
      await own.context.cleanup.run();
      expect(await day()).toBe(0);
      expect(await shown()).not.toHaveProperty('personal');
      const signed: Checkpoint = (await own.request('admin', 'auditCheckpoint')).json();
      const log = (await own.request('admin', 'exportAudit')).rawPayload;
      await verifyAuditLog(log, { checkpoint: signed, key: own.context.keys.audit.publicKey });
    } finally {
      await own.close();
    }
  });
});
