/**
 * The bytes that are signed and hashed, against values that another program computed (Python's hashlib and cryptography, from
 * docs/server-protocol.md alone): ids and heads stand in them raw, never as hex. A change here breaks every second implementation.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chainHead, EMPTY_HEAD } from '../../src/audit/chain.js';
import { encode, hex } from '../../src/base/bytes.js';
import {
  checkpointMessage,
  checkpointVerifies,
  deviceIdOf,
  fingerprintOf,
  proofMessage,
  readStatement,
  signStatement,
  statements,
} from '../../src/contract/index.js';
import type { KeyHandle } from '../../src/native/binding.js';
import { call } from '../../src/native/index.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const protocol = readFileSync(path.join(projectRoot, 'docs/server-protocol.md'), 'utf8');

/** The seed is the bytes 00, 01, … 1f. */
const SEED = Buffer.from(Array.from({ length: 32 }, (_, at) => at));
const PUBLIC = 'mgs1:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg';
const SERVER = '00112233445566778899aabbccddeeff';
const DEVICE = 'ffeeddccbbaa99887766554433221100';
const LOG = '0f1e2d3c4b5a69788796a5b4c3d2e1f0';
const TIME = 1_790_000_000;
const STATEMENT = 'Zc4MEK5GsZzJFumXVhVOFu0p5sfh5Hgrs05tn2xi_BeqLKANW-qY6H5oVF2wpwnbtVtKqK-cya6NOj1NJ6fLCA';
const CHECKPOINT = '9SCBlhXaEFvuy1x_Z4JY3_jKkjOML_5oT4p4MwZgLO4XETjc8fDwgO0MS5p-NRTNRRJFRXDPB1ztsbWrJvmLBw';
/** SHA-384 of "event". */
const HEAD = '02ab40ce3a8ce08ab3bcec41ed72d6ff13b5b72d779c81772b49427372d1b3ef00878d47fddfbd3be8e7e81655fc3cee';

let key: KeyHandle;
beforeAll(async () => {
  const file = path.join(temporaryFolder('signed-bytes'), 'signing.key');
  writeFileSync(file, `model-guard-key v1 signing plain\n${SEED.toString('base64url')}\n`, { mode: 0o600 });
  ({ key } = await call((native) => native.readKeyFile(file)));
});

describe('what is signed', () => {
  it('of a statement is its kind, the 16 bytes of the server id, and the payload as it is sent', () => {
    const said = { kind: 'latest', server: SERVER, time: TIME, name: 'defects', version: '3', ordinal: 7 } as const;
    const statement = signStatement(key, PUBLIC, said);
    expect(Buffer.from(statement.payload, 'base64url').toString()).toBe(JSON.stringify(said));
    expect(statement).toMatchObject({ signature: STATEMENT, key: PUBLIC });
    const payload = Buffer.from(JSON.stringify(said)).toString('base64url');
    const trusting = { trusted: [PUBLIC], server: SERVER };
    expect(readStatement('latest', { payload, signature: STATEMENT, key: PUBLIC }, trusting)).toEqual(said);
  });

  it('of a checkpoint is log id, seq, head and time, the head as its 48 bytes', () => {
    const position = { logId: LOG, seq: 12, head: HEAD, time: TIME };
    expect(hex(checkpointMessage(position))).toBe(`${LOG}000000000000000c${HEAD}000000006ab13b80`);
    expect(checkpointVerifies({ ...position, signature: CHECKPOINT }, PUBLIC)).toBe(true);
    expect(checkpointVerifies({ ...position, seq: 13, signature: CHECKPOINT }, PUBLIC)).toBe(false);
  });

  it('of a lease request is server id, challenge, device id and the hash of the body', () => {
    const body = Buffer.from('{"name":"defects"}');
    const challenge = encode(new Uint8Array(32).fill(7));
    expect(hex(proofMessage({ serverId: SERVER, challenge, deviceId: DEVICE, body }))).toBe(
      `${SERVER}${'07'.repeat(32)}${DEVICE}b410028f02a32335e301f34103ab2430f78575801262db5c0a0fa9e4761ce04b8cf13e70e86862b3e0d5aba0de3b1fd4`,
    );
  });
});

describe('what is hashed', () => {
  it('into a device id and a fingerprint are the bytes of the keys', () => {
    expect(deviceIdOf('mgd1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8DoQe_884Qvh1w3RjnS8CZZ-TWMJulDV8d3IZkElUxuA')).toBe(
      'c57bbdbd6adb7145fd2b96ee2f186f55',
    );
    expect(fingerprintOf(PUBLIC)).toBe('dcc8 d240 a458 fcbe dc69 6e83 a872 0f7d 0216 9e3b');
  });

  it('into the chain of the audit log is the log id as its 16 bytes', () => {
    const first = chainHead(LOG, 1, EMPTY_HEAD, Buffer.from('{"seq":1}'));
    expect(hex(chainHead(LOG, 2, first, Buffer.from('{"seq":2}')))).toBe(
      'ad7fd818cdd8053d653ddeecbd4ee73c0b9501bd8ec5f6906d82e84d51c92e2fb14da640041fe28ecc32fd82bcfe395b',
    );
  });
});

describe('docs/server-protocol.md', () => {
  it('gives the same key, signatures and head to compare with', () => {
    for (const value of [PUBLIC, SERVER, LOG, HEAD, STATEMENT, CHECKPOINT]) expect(protocol).toContain(`\`${value}\``);
  });

  it('lists every kind of statement with exactly the members that it has', () => {
    const rows = [...protocol.matchAll(/^\| `([a-z]+)` \| ([^|]*`[^|]*) \| [^|]+ \|$/gm)];
    const documented = new Map(
      rows.map(([, kind, members]) => [kind, [...`${members}`.matchAll(/`(\w+)`/g)].map(([, name]) => name)]),
    );
    for (const [kind, schema] of Object.entries(statements)) {
      const [, , , ...members] = membersOf(z.toJSONSchema(schema, { unrepresentable: 'any' }));
      expect(documented.get(kind), `the members of ${kind}`).toEqual(members);
    }
  });
});

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

/** In their order, each before its own. */
const membersOf = (schema: unknown): string[] => {
  const { properties, items } = schema as JsonSchema;
  if (items) return membersOf(items);
  return Object.entries(properties ?? {}).flatMap(([name, member]) => [name, ...membersOf(member)]);
};
