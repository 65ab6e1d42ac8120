/** New entitlements. If these fail, an earlier entitlement goes on unseen. */
import { beforeEach, describe, expect, it } from 'vitest';
import { succeed } from '../../../support/cli.js';
import { administrate } from '../../../support/cli-admin.js';

const { ada, asked, guard, profile } = administrate('create');

describe('entitlements create', () => {
  const terms = {
    id: 'e'.repeat(32),
    kind: 'model',
    name: 'net',
    account: ada.id,
    seats: 1,
    leaseSeconds: 60,
    offlineSeconds: 0,
  };
  const create = () => succeed('entitlements', 'create', 'net', '--account', 'ada@Example.org', ...profile);
  beforeEach(() => guard.on('createEntitlement', () => ({ status: 201, json: { ...terms, created: guard.now } })));

  it('names the account of an entitlement as it was typed', async () => {
    guard.on('listEntitlements', () => ({ json: { items: [] } }));
    expect(await create()).toMatchObject({ stdout: 'ada@Example.org may load net: 1 seat, 60 s a lease\n', stderr: '' });
    expect(asked('createEntitlement')?.json).toMatchObject({ account: ada.id, name: 'net' });
  });

  it('says which others of the account for the same model go on', async () => {
    const other = (id: string, more: object) => ({ ...terms, id: id.repeat(32), created: guard.now, ...more });
    const items = [
      other('1', { seats: 9 }),
      other('2', { name: 'other' }),
      other('3', { account: 'b'.repeat(32) }),
      other('4', { kind: 'archive' }),
    ];
    guard.on('listEntitlements', ({ query }) => ({
      json: { items: items.filter((one) => ['account', 'name'].every((key) => Reflect.get(one, key) === query.get(key))) },
    }));
    const { stderr } = await create();
    expect(stderr.match(/entitlements delete \w+/g)).toEqual([`entitlements delete ${'1'.repeat(32)}`]);
  });
});
