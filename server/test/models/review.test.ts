/**
 * Review of versions. If these fail, a version is used before its release, a rollback is silent, or a revoked version comes back.
 */
import { readStatement } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { at, freshName, Publisher, type TestContainer } from '../support/story.js';

let server: TestServer;
let admin: Publisher;
const stateOf = async (made: { name: string; version: string }) =>
  (await server.request('admin', 'getVersion', at(made))).json().state;

beforeAll(async () => {
  server = await startTestServer();
  admin = new Publisher(server);
});
afterAll(() => server.close());

describe('the role of the publisher', () => {
  it('waits for approval without the right to decide', async () => {
    const name = freshName();
    const operator = new Publisher(server, 'operator');
    await operator.register(name);
    const made = await operator.publish({ name });
    expect(await stateOf(made)).toBe('pending');
    expect(outcomeOf(await server.request('operator', 'latestVersion', { params: { name } }))).toBe('409 NOT_RELEASED');
    const queue = await server.request('validator', 'listVersions', { query: { state: 'pending', name } });
    expect(queue.json().items).toMatchObject([{ name, version: '1' }]);
    const release = await server.request('validator', 'releaseVersion', { ...at(made), body: { payloadId: made.payloadId } });
    expect(release.json()).toMatchObject({ state: 'released', decided: server.clock.now });
  });

  it('replaces without that right only what is one\u2019s own and was never released', async () => {
    const name = freshName();
    const operator = new Publisher(server, 'operator');
    await operator.register(name);
    await operator.publish({ name });
    const next = await operator.make({ name });
    await operator.upload(next);
    expect(outcomeOf(await operator.commit(next, { overwrite: true }, 'resourceUploader'))).toBe('403 NOT_AUTHORISED');
    expect(outcomeOf(await operator.commit(next, { overwrite: true }))).toBe('201');
    await server.request('admin', 'releaseVersion', { ...at(next), body: { payloadId: next.payloadId } });
    const third = await operator.make({ name });
    await operator.upload(third);
    expect(outcomeOf(await operator.commit(third, { overwrite: true }))).toBe('403 NOT_AUTHORISED');
    expect(outcomeOf(await operator.commit(third, { overwrite: true }, 'validator'))).toBe('201');
  });
});

describe('deciding', () => {
  it('refuses to go back unless it is asked to', async () => {
    const name = freshName();
    await admin.register(name);
    const [old, mid, now] = [
      await admin.publish({ name, version: '1' }),
      await admin.publish({ name, version: '2' }),
      await admin.publish({ name, version: '3' }),
    ];
    const release = (made: TestContainer, body = {}) =>
      server.request('admin', 'releaseVersion', { ...at(made), body: { payloadId: made.payloadId, ...body } });
    expect(outcomeOf(await release(now))).toBe('200');
    expect(outcomeOf(await release(old))).toBe('409 ROLLBACK_REFUSED');
    expect(outcomeOf(await release(old, { rollback: true }))).toBe('200');
    expect([await stateOf(old), await stateOf(mid), await stateOf(now)]).toEqual(['released', 'rejected', 'rejected']);
    expect(outcomeOf(await release(now))).toBe('200');
    expect(await stateOf(now)).toBe('released');
  });

  it('says which version is the newest, signed and dated', async () => {
    const name = freshName();
    await admin.register(name);
    expect(outcomeOf(await server.request('operator', 'latestVersion', { params: { name } }))).toBe('404 NOT_FOUND');
    await admin.publish({ name, version: '1' });
    await admin.publish({ name, version: '2' });
    const answer = await server.request('operator', 'latestVersion', { params: { name } });
    const trusted = [server.context.keys.signing.publicKey.toString()];
    expect(readStatement('latest', answer.json(), { trusted, server: server.context.serverId })).toEqual({
      kind: 'latest',
      server: server.context.serverId,
      time: server.clock.now,
      name,
      version: '2',
      ordinal: 2,
    });
    await server.request('admin', 'revokeVersion', { params: { name, version: '2' }, body: {} });
    const next = (await server.request('operator', 'latestVersion', { params: { name } })).json();
    expect(readStatement('latest', next, { trusted }).version).toBe('1');
  });

  it('is about the payload that was reviewed: a version that was replaced since is refused', async () => {
    const name = freshName();
    const operator = new Publisher(server, 'operator');
    await operator.register(name);
    const reviewed = await operator.publish({ name });
    const other = await operator.make({ name });
    await operator.upload(other);
    expect(outcomeOf(await operator.commit(other, { overwrite: true }))).toBe('201');
    for (const what of ['releaseVersion', 'rejectVersion', 'revokeVersion'] as const) {
      const answer = await server.request('validator', what, { ...at(reviewed), body: { payloadId: reviewed.payloadId } });
      expect(outcomeOf(answer), what).toBe('409 REVIEW_OUTDATED');
      expect(answer.json().error.message).toContain(reviewed.payloadId);
      expect(answer.json().error.message).toContain(other.payloadId);
      expect(await stateOf(other)).toBe('pending');
    }
    const nameless = { ...at(other), body: {} as { payloadId: string } };
    expect(outcomeOf(await server.request('validator', 'releaseVersion', nameless))).toBe('400 INVALID_ARGUMENT');
    expect(outcomeOf(await server.request('validator', 'rejectVersion', nameless))).toBe('400 INVALID_ARGUMENT');
    const release = await server.request('validator', 'releaseVersion', { ...at(other), body: { payloadId: other.payloadId } });
    expect(release.json()).toMatchObject({ state: 'released', payloadId: other.payloadId });
    // A revocation is not to wait for a review.
    expect(outcomeOf(await server.request('validator', 'revokeVersion', { ...at(other), body: {} }))).toBe('200');
  });

  it('rejects what is pending, and revokes for good', async () => {
    const name = freshName();
    const operator = new Publisher(server, 'operator');
    await operator.register(name);
    const made = await operator.publish({ name });
    const decide = (what: 'rejectVersion' | 'revokeVersion' | 'releaseVersion') =>
      server.request('validator', what, { ...at(made), body: { payloadId: made.payloadId } });
    expect((await decide('rejectVersion')).json().state).toBe('rejected');
    expect((await decide('rejectVersion')).json().state).toBe('rejected');
    expect((await decide('releaseVersion')).json().state).toBe('released');
    expect(outcomeOf(await decide('rejectVersion'))).toBe('400 INVALID_ARGUMENT');
    expect((await decide('revokeVersion')).json().state).toBe('revoked');
    expect((await decide('revokeVersion')).json().state).toBe('revoked');
    expect(outcomeOf(await decide('releaseVersion'))).toBe('409 NOT_RELEASED');
  });

  it('lists every version once, page by page, also where names hold dots', async () => {
    const names = ['dots.1', 'dots.1.2'];
    for (const name of names) {
      await admin.register(name);
      for (const version of ['1', '2', '3']) await admin.publish({ name, version, size: 20_000 });
    }
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const { items, next } = (
        await server.request('operator', 'listVersions', { query: { limit: 2, ...(cursor && { cursor }) } })
      ).json();
      all.push(...items.map((item: { name: string; ordinal: number }) => `${item.name}#${item.ordinal}`));
      cursor = next;
    } while (cursor);
    expect(new Set(all).size).toBe(all.length);
    for (const name of names)
      expect(all.filter((item) => item.startsWith(`${name}#`))).toEqual([1, 2, 3].map((n) => `${name}#${n}`));
  });
});
