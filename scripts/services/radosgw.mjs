// An S3 server: Ceph's gateway over one monitor and one store in memory, all on loopback.
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { folderOf, freePort, run } from './processes.mjs';

const PROGRAMS = {
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  radosgw: 'radosgw',
  'radosgw-admin': 'ceph-common',
  ceph: 'ceph-common',
  'ceph-authtool': 'ceph-common',
  monmaptool: 'ceph-common',
};
const STORE_BYTES = 12 * 2 ** 30;
/** `owner` makes the buckets; what the others may do, a bucket's policy says. */
const USERS = ['owner', 'read', 'write'];

export const missing = () => [
  ...new Set(
    Object.entries(PROGRAMS)
      .filter(([program]) => folderOf(program) === undefined)
      .map(([, from]) => from),
  ),
];

const configuration = ({ folder, id, monitor, gateway }) => `[global]
fsid = ${id}
mon host = v2:127.0.0.1:${monitor}
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = ${folder}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon pg warn min per osd = 0
# For a quick start: the one monitor decides without waiting for others.
paxos propose interval = 0.05
paxos min wait = 0.02
run dir = ${folder}
admin socket =
pid file =
crash dir = ${folder}
log file =
log to stderr = true
err to stderr = true
[mon]
mon data = ${folder}/mon
mon cluster log file =
[osd]
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = ${STORE_BYTES}
[client.rgw.a]
rgw data = ${folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:${gateway}
# What is deleted frees its memory soon.
rgw gc obj min wait = 1
rgw gc processor period = 1
rgw gc processor max time = 1
`;

const keyrings = [
  ['mon.', ['mon', 'allow *']],
  ['client.admin', ['mon', 'allow *'], ['osd', 'allow *'], ['mgr', 'allow *']],
  ['osd.0', ['mon', 'allow profile osd'], ['osd', 'allow *']],
  ['client.rgw.a', ['mon', 'allow rw'], ['osd', 'allow rwx']],
];

export async function start(processes, folder) {
  const [monitor, gateway] = [await freePort(), await freePort()];
  const [id, store] = [randomUUID(), randomUUID()];
  const file = (name) => path.join(folder, name);
  for (const place of ['', 'mon', 'osd', 'rgw']) mkdirSync(file(place), { mode: 0o700 });
  writeFileSync(file('ceph.conf'), configuration({ folder, id, monitor, gateway }));
  const env = { CEPH_CONF: file('ceph.conf'), CEPH_ARGS: '' };
  const ceph = (...command) => run([...command, '-c', file('ceph.conf')], { env });
  const daemon = (name, ...command) =>
    processes.start(name, [...command, '-c', file('ceph.conf'), '-f'], { log: file(`${name}.log`), env });

  await run(['ceph-authtool', '--create-keyring', file('keyring')]);
  for (const [name, ...caps] of keyrings)
    await run(['ceph-authtool', file('keyring'), '--gen-key', '-n', name, ...caps.flatMap((cap) => ['--cap', ...cap])]);
  for (const place of ['rgw', 'osd']) copyFileSync(file('keyring'), file(`${place}/keyring`));
  await run(['monmaptool', '--create', '--fsid', id, '--addv', 'a', `v2:127.0.0.1:${monitor}`, file('monmap')]);

  await ceph('ceph-mon', '-i', 'a', '--mkfs', '--monmap', file('monmap'), '--keyring', file('keyring'));
  const mon = daemon('ceph-mon', 'ceph-mon', '-i', 'a');
  await processes.ready(mon, () => ceph('ceph', '--connect-timeout', '5', 'osd', 'new', store, '0').then(() => true));
  await ceph('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', store);
  daemon('ceph-osd', 'ceph-osd', '-i', '0');

  const rgw = daemon('radosgw', 'radosgw', '-n', 'client.rgw.a');
  const endpoint = `http://127.0.0.1:${gateway}`;
  await processes.ready(rgw, async () => (await fetch(endpoint)).ok);
  const keys = {};
  for (const name of USERS) {
    const made = await ceph('radosgw-admin', 'user', 'create', '--uid', name, '--display-name', name);
    const [pair] = JSON.parse(made).keys;
    keys[name] = { id: pair.access_key, secret: pair.secret_key };
  }
  return { MG_TEST_S3: endpoint, MG_TEST_S3_KEYS: JSON.stringify(keys) };
}
