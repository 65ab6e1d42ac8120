/**
 * Rights that end while a request runs: the request changes nothing any more. If these fail, a stolen or dismissed account
 * outlives its end.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SigningKey } from '@org/model-guard';
import { type AuditAction, encode, type Role, type RouteName } from '@org/model-guard/server-kit';
import { describe, expect, it, vi } from 'vitest';
import { definitions } from '../../src/http/shapes.js';
import { outcomeOf } from '../support/outcomes.js';
import { type Actor, expectSuccess, type GrantableRequest, rightsLab } from '../support/rights-lab.js';
import { auditEvents, PASSWORD } from '../support/server.js';
import { freshName, Machine, type TestContainer } from '../support/story.js';

const lab = rightsLab();
const { ENDS, actorOf, change, ask, beforeTransaction, machineOf, enrolment, archive, archived, lease, unlock } = lab;

type End = keyof typeof ENDS;
/** For every route; the other ones are seen by the same reading. */
const OF_ALL: readonly End[] = ['disabled', 'demoted', 'erased'];
const version = ({ name, version }: TestContainer) => ({ params: { name, version } });
const upload = async (made: TestContainer): Promise<TestContainer> => {
  expectSuccess(await lab.publisher.upload(made));
  return made;
};
let versions = 0;
const make = () => lab.publisher.make({ version: `rights-${versions++}`, size: 5000 });

/** A version of an operator's that waits for a decision. */
async function pending(): Promise<TestContainer> {
  const made = await upload(await make());
  expectSuccess(await lab.publisher.commit(made, {}, 'operator'));
  return made;
}
/** Every route that changes something, with the role that asks and a request that is right. By hand: the test's own list. */
const CHANGES: Readonly<Record<string, readonly [Role, (actor: Actor) => Promise<GrantableRequest> | GrantableRequest]>> = {
  changePassword: ['operator', () => ({ body: { current: PASSWORD, next: `${PASSWORD} 3` } })],
  createUser: ['apiAdmin', () => ({ body: { email: `${freshName()}@example.com`, password: PASSWORD, role: 'apiAdmin' } })],
  // It changes nothing, but its answer tells whether an account exists.
  findUser: ['admin', () => ({ body: { email: 'admin@localhost' } })],
  resetUserPassword: [
    'apiAdmin',
    async () => ({ params: { account: (await actorOf('none')).id }, body: { password: 'a phrase for one time' } }),
  ],
  updateUser: ['apiAdmin', async () => ({ params: { account: (await actorOf('none')).id }, body: { role: 'apiAdmin' } })],
  eraseUser: ['apiAdmin', async () => ({ params: { account: (await actorOf('none')).id } })],
  challengeDevice: ['operator', (actor) => ({ body: { publicKey: machineOf(actor).publicKey } })],
  enrollDevice: ['operator', async (actor) => (await enrolment(actor)).asking],
  approveDevice: [
    'admin',
    async () => {
      const machine = new Machine(lab.server);
      expectSuccess(await machine.enrol());
      return { params: { device: machine.id }, body: { fingerprint: machine.fingerprint } };
    },
  ],
  revokeDevice: ['admin', async () => ({ params: { device: (await Machine.ready(lab.server)).id }, body: {} })],
  createEntitlement: ['admin', () => ({ body: { name: 'defects', account: lab.server.accounts.operator.id } })],
  deleteEntitlement: [
    'admin',
    async () => {
      const body = { name: 'defects', account: lab.server.accounts.companion.id };
      const made = expectSuccess(await lab.server.request('admin', 'createEntitlement', { body }));
      return { params: { entitlement: made.json().id } };
    },
  ],
  setPublishers: [
    'admin',
    () => ({ params: { name: freshName() }, body: { keys: [SigningKey.generate().publicKey.toString()] } }),
  ],
  publishVersion: [
    'validator',
    async () => {
      const made = await upload(await make());
      return { ...version(made), body: { small: encode(made.small) } };
    },
  ],
  releaseVersion: [
    'validator',
    async () => {
      const made = await pending();
      return { ...version(made), body: { payloadId: made.payloadId, rollback: true } };
    },
  ],
  rejectVersion: [
    'validator',
    async () => {
      const made = await pending();
      return { ...version(made), body: { payloadId: made.payloadId } };
    },
  ],
  revokeVersion: ['validator', async () => ({ ...version(await pending()), body: {} })],
  beginUpload: [
    'operator',
    () => ({ params: { name: 'defects', version: '1', part: `${'1'.repeat(32)}-0` }, body: { size: 1 } }),
  ],
  uploadUrls: ['operator', () => ({ params: { upload: '1'.repeat(32) }, body: { numbers: [1] } })],
  completeUpload: ['operator', () => ({ params: { upload: '1'.repeat(32) }, body: {} })],
  abortUpload: ['operator', () => ({ params: { upload: '1'.repeat(32) } })],
  putPart: [
    'operator',
    async () => {
      const { name, version, bigName, big } = await make();
      return { params: { name, version, part: bigName }, body: big };
    },
  ],
  challengeLease: ['operator', () => ({ body: {} })],
  takeLease: ['operator', lease],
  revokeLease: [
    'admin',
    async () => {
      const actor = await actorOf('operator');
      const { lease: statement } = expectSuccess(await ask(actor, 'takeLease', await lease(actor))).json();
      expect(statement).toBeDefined();
      const { id } = await lab.server.context.db
        .selectFrom('leases')
        .select('id')
        .where('account', '=', actor.id)
        .executeTakeFirstOrThrow();
      return { params: { lease: id } };
    },
  ],
  registerArchive: ['resourceUploader', async () => ({ body: await archive(freshName('archive')) })],
  deleteArchive: ['resourceUploader', async () => ({ params: { name: await archived() } })],
  unlockArchive: ['operator', unlock],
  rotateKeys: ['apiAdmin', () => ({ body: {} })],
  rotateSigningKey: ['apiAdmin', () => ({ body: {} })],
  // A position that no log holds: it was lost.
  stateRestored: ['apiAdmin', () => ({ body: { seq: 1_000_000, head: 'ab'.repeat(48) } })],
};
const NAMES = Object.keys(CHANGES) as RouteName[];
/** They change nothing in a transaction: challenges are rows by themselves, and the parts of this server are no bucket's. */
const WITHOUT_TRANSACTION: readonly RouteName[] = [
  'findUser',
  'challengeDevice',
  'challengeLease',
  'uploadUrls',
  'completeUpload',
  'abortUpload',
  'putPart',
];

/** Every row that a change could have written, apart from the log. */
async function everything(): Promise<Record<string, unknown>> {
  const { db } = lab.server.context;
  const tables = ['users', 'devices', 'publishers', 'versions', 'entitlements', 'leases', 'archives', 'uploads'] as const;
  const keys = ['encryption_keys', 'successions', 'rotations'] as const;
  const found: Record<string, unknown> = {};
  for (const table of [...tables, ...keys]) found[table] = await db.selectFrom(table).selectAll().execute();
  const folders = [join(lab.server.config.dataFolder, 'parts', 'big'), lab.server.config.keysFolder];
  for (const folder of folders) found[folder] = (await readdir(folder)).filter((name) => !name.startsWith('.tmp-')).sort();
  return found;
}

describe('a change whose account loses its rights', () => {
  it('is looked at for every route that changes something', () => {
    const changing = Object.entries(definitions).filter(
      ([, { method, access }]) => method !== 'GET' && access !== 'open' && access !== 'signed-url',
    );
    expect([...NAMES].sort()).toEqual(changing.map(([name]) => name).sort());
  });

  const held = async (name: RouteName, how: End): Promise<void> => {
    const [role, prepare] = CHANGES[name] as (typeof CHANGES)[string];
    const actor = await actorOf(role);
    const asking = await prepare(actor);
    let before: Record<string, unknown> = {};
    const answer = await ask(actor, name, asking, async () => {
      await ENDS[how].end(actor);
      before = await everything();
    });
    expect(`${how}: ${outcomeOf(answer)}`).toBe(`${how}: ${ENDS[how].status}`);
    expect(await everything(), how).toEqual(before);
  };
  // Without a body, nothing is on its way after the headers.
  const withBody = NAMES.filter((name) => definitions[name].body !== undefined);
  it.each(withBody)('while its body is on the way is refused, and changes nothing: %s', (name) => held(name, 'disabled'));
  it.each(Object.keys(ENDS) as End[])('while its body is on the way is refused where the account is %s', (how) =>
    held('createUser', how),
  );

  it.each(NAMES.filter((name) => !WITHOUT_TRANSACTION.includes(name)))(
    'just before its commit is refused, and changes nothing: %s',
    async (name) => {
      const [role, prepare] = CHANGES[name] as (typeof CHANGES)[string];
      for (const how of OF_ALL) {
        // Every role may do that.
        if (name === 'changePassword' && how === 'demoted') continue;
        const { end, status } = ENDS[how];
        const actor = await actorOf(role);
        const asking = await prepare(actor);
        let before: Record<string, unknown> | undefined;
        beforeTransaction(1, async () => {
          await end(actor);
          before = await everything();
        });
        const answer = await ask(actor, name, asking);
        expect(`${how}: ${outcomeOf(answer)}`).toBe(`${how}: ${status}`);
        expect(before, how).toBeDefined();
        const after = await everything();
        // A new key's file is made before its row.
        const { [lab.server.config.keysFolder]: _files, ...rows } = before ?? {};
        expect(after, how).toMatchObject(rows);
        vi.restoreAllMocks();
      }
    },
  );

  it('at the last byte of a part leaves no part', async () => {
    for (const how of OF_ALL) {
      const { end, status } = ENDS[how];
      const actor = await actorOf('operator');
      const made = await make();
      const { parts } = lab.server.context;
      const put = parts.put.bind(parts);
      // Whatever looked at the rights before the part was read has let it through.
      const spy = vi.spyOn(parts, 'put').mockImplementation(async (...given) => {
        await end(actor);
        await put(...given);
      });
      const params = { name: made.name, version: made.version, part: made.bigName };
      const answer = await ask(actor, 'putPart', { params, body: made.big });
      spy.mockRestore();
      expect(`${how}: ${outcomeOf(answer)}`).toBe(`${how}: ${status}`);
      expect(await lab.server.context.parts.find(made.bigName)).toBeUndefined();
    }
  });

  it('is in the audit log as denied', async () => {
    const actor = await actorOf('apiAdmin');
    const body = { email: 'never@example.com', password: PASSWORD, role: 'apiAdmin' };
    await ask(actor, 'createUser', { body }, () => ENDS.disabled.end(actor));
    const events = async (action: AuditAction) => await auditEvents(lab.server, { action, account: actor.id });
    expect(await events('authz.denied')).toMatchObject([{ outcome: 'denied', resource: 'route:createUser' }]);
    expect(await events('users.create')).toEqual([]);
  });
});

describe('a validator who is an operator by the time of the commit', () => {
  const demoted = async (actor: Actor) => change(actor.id, { role: 'operator' });

  it('publishes what waits for a decision', async () => {
    const actor = await actorOf('validator');
    const made = await upload(await make());
    beforeTransaction(1, () => demoted(actor));
    const answer = expectSuccess(await ask(actor, 'publishVersion', { ...version(made), body: { small: encode(made.small) } }));
    expect(answer.json().state).toBe('pending');
    const query = { resource: `model:defects@${made.version}` };
    const events = await auditEvents(lab.server, query);
    expect(events.map(({ action }: { action: string }) => action)).toEqual(['models.publish']);
  });

  it('does not replace what was released', async () => {
    const actor = await actorOf('validator');
    const made = await lab.publisher.make({ version: 'released-before', size: 5000 });
    for (const answer of [await lab.publisher.upload(made), await lab.publisher.commit(made)]) expectSuccess(answer);
    const other = await upload(await lab.publisher.make({ version: 'released-before', size: 5000 }));
    beforeTransaction(1, () => demoted(actor));
    const body = { small: encode(other.small), overwrite: true };
    expect(outcomeOf(await ask(actor, 'publishVersion', { ...version(other), body }))).toBe('403 NOT_AUTHORISED');
  });
});
