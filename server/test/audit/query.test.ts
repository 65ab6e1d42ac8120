/** Queries of the log by action, outcome, account, resource and time, in pages. */
import type { AuditAction, AuditActionFilter } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../src/audit/open-events.js';
import { startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
beforeEach(() => server.clock.advance(1000));

const caller = (role: 'operator' | 'apiAdmin' | 'companion') => ({
  address: '198.51.100.0',
  request: 'r',
  account: server.accounts[role],
});
const ask = async (query: Record<string, unknown>): Promise<{ items: AuditEvent[]; next?: string }> => {
  const answer = await server.request('admin', 'auditEvents', { query: query as never });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json();
};
const record = (action: AuditAction, change: object = {}) =>
  server.context.audit.record({ action, outcome: 'success', caller: caller('operator'), ...change });

describe('a query', () => {
  it('shows account, action, resource, time and address', async () => {
    await record('leases.take', { resource: 'model:defects@3', detail: 'two of five seats' });
    const { id, email, subject } = server.accounts.operator;
    const [event] = (await ask({ action: 'leases.take' })).items;
    expect(event).toEqual({
      seq: expect.any(Number),
      time: new Date(server.clock.now * 1000).toISOString(),
      action: 'leases.take',
      outcome: 'success',
      resource: 'model:defects@3',
      request: 'r',
      subject,
      personal: { actor: email, account: id, address: '198.51.100.0', detail: 'two of five seats' },
    });
  });

  it('finds an action, or all actions of a concern, and nothing else', async () => {
    for (const action of ['keys.rotate', 'keys.rotate-signing', 'keys.remove', 'keys.rotated', 'leases.list'] as const)
      await record(action);
    const actions = async (action: AuditActionFilter) => (await ask({ action })).items.map((event) => event.action);
    expect(await actions('keys')).toEqual(['keys.rotated', 'keys.remove', 'keys.rotate-signing', 'keys.rotate']);
    expect(await actions('keys.rotate')).toEqual(['keys.rotate']);
    expect(await actions('parts')).toEqual([]);
  });

  it('for an unknown action is refused with the known ones', async () => {
    for (const action of ['leases.taken', 'lease', 'leases.', '.take', 'Leases.take', 'constructor']) {
      const answer = await server.request('admin', 'auditEvents', { query: { action } as never });
      expect([answer.statusCode, answer.json().error.code], action).toEqual([400, 'INVALID_ARGUMENT']);
      expect(answer.json().error.message).toContain('leases.take, models.latest');
    }
  });

  it('finds outcomes, resources and times, together', async () => {
    const start = server.clock.now;
    await record('devices.read', { outcome: 'denied', resource: 'model:a@1' });
    server.clock.advance(10);
    await record('devices.approve', { outcome: 'denied', resource: 'model:b@1' });
    await record('devices.enroll', { outcome: 'failure', resource: 'model:b@1' });
    server.clock.advance(10);
    await record('devices.revoke', { outcome: 'denied', resource: 'model:b@1' });
    const DEVICES = ['devices.read', 'devices.approve', 'devices.enroll', 'devices.revoke'];
    const found = async (query: object) =>
      (await ask({ action: 'devices', ...query })).items.map(({ action }) => 'abcd'[DEVICES.indexOf(action)]);
    expect(await found({ outcome: 'denied' })).toEqual(['d', 'b', 'a']);
    expect(await found({ resource: 'model:b@1' })).toEqual(['d', 'c', 'b']);
    expect(await found({ since: start + 10 })).toEqual(['d', 'c', 'b']);
    expect(await found({ until: start + 10 })).toEqual(['c', 'b', 'a']);
    expect(await found({ since: start + 10, until: start + 10, outcome: 'denied', resource: 'model:b@1' })).toEqual(['b']);
    expect(await found({ resource: "model:b@1' OR 1=1 --" })).toEqual([]);
  });

  it('finds actions of an account, also on other accounts, and actions on it', async () => {
    const { companion } = server.accounts;
    const of = async () =>
      (await ask({ account: companion.id, action: 'archives' })).items.map(({ action }) => action.split('.')[1]);
    await record('archives.register', { caller: caller('companion') });
    await record('archives.unlock', { caller: caller('companion'), subject: server.accounts.operator.subject });
    await record('archives.delete', { caller: caller('apiAdmin'), subject: companion.subject });
    await record('archives.read', { resource: `account:${companion.id}` });
    await record('archives.list');
    expect(await of()).toEqual(['read', 'delete', 'unlock', 'register']);
    expect((await ask({ account: 'f'.repeat(32) })).items).toEqual([]);
  });

  it('comes in pages, newest first, and gives nothing twice while more happens', async () => {
    for (let n = 0; n < 25; n++) await record('parts.read', { resource: `model:m@${n}` });
    const seen: (string | undefined)[] = [];
    let cursor: string | undefined;
    do {
      const page = await ask({ action: 'parts', limit: 10, ...(cursor && { cursor }) });
      seen.push(...page.items.map(({ resource }) => resource));
      cursor = page.next;
      await record('parts.read', { resource: 'model:late@1' });
    } while (cursor);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => `model:m@${24 - n}`));
  });

  it('refuses what is no question', async () => {
    for (const query of [
      { cursor: 'x' },
      { cursor: '-1' },
      { cursor: '0' },
      { limit: 0 },
      { limit: 501 },
      { action: "a'b" },
      { outcome: 'fine' },
      { since: 'now' },
      { more: 1 },
    ]) {
      const answer = await server.request('admin', 'auditEvents', { query: query as never });
      expect(answer.statusCode, JSON.stringify(query)).toBe(400);
      expect(answer.json().error.code).toBe('INVALID_ARGUMENT');
    }
  });

  it('is an event itself', async () => {
    await ask({});
    const [event] = (await ask({ action: 'audit.read' })).items;
    expect(event?.personal?.account).toBe(server.accounts.admin.id);
  });

  it('shows the other events when one box is damaged', async () => {
    await record('publishers.set');
    await record('publishers.set');
    const { seq, bytes } = await server.context.db
      .selectFrom('audit')
      .selectAll()
      .where('action', '=', 'publishers.set')
      .orderBy('seq')
      .executeTakeFirstOrThrow();
    const changed = Buffer.from(bytes.toString().replace(/"box":"..../, '"box":"AAAA'));
    await server.context.db.updateTable('audit').set({ bytes: changed }).where('seq', '=', seq).execute();
    const { items } = await ask({ action: 'publishers' });
    expect(items.map(({ personal }) => personal !== undefined)).toEqual([true, false]);
    expect(server.logged).toContainEqual(expect.objectContaining({ seq, code: 'INTEGRITY_FAILED' }));
  });
});
