/**
 * Both ways against two independent implementations: Python's `cryptography` and `openssl enc`. A difference is a customer's artifact
 * that cannot be read, or one of ours that his tools cannot read.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { encrypt, LegacyKey } from '../../src/legacy/index.js';
import { Child } from '../support/children.js';
import { aesKey, plainOf } from '../support/legacy.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { projectRoot, skipTest } from '../support/shared.js';

const MIB = 2 ** 20;
const FULL = 200;
const random = seeded('legacy interoperability');
const sizes = [0, 1, 15, 16, 17, MIB, ...Array.from({ length: scaled(FULL, 20) - 6 }, () => random.integer(MIB + 1))];

interface Peer {
  encrypt(key: string, plain: Uint8Array): Promise<Uint8Array>;
  decrypt(key: string, artifact: Uint8Array): Promise<Uint8Array>;
}

async function python(): Promise<Peer> {
  const child = new Child(['python3', path.join(projectRoot, 'test/support/legacy_peer.py')]);
  await child.waitFor('ready');
  const ask = async (what: string, key: string, data: Uint8Array): Promise<Uint8Array> => {
    const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
    child.say(JSON.stringify({ do: what, key: base64(key), data: base64(data) }));
    return new Uint8Array(Buffer.from(await child.line(), 'base64'));
  };
  return { encrypt: (key, plain) => ask('encrypt', key, plain), decrypt: (key, artifact) => ask('decrypt', key, artifact) };
}

function openssl(): Peer {
  const enc = (flag: '-e' | '-d', key: string, iv: Uint8Array, input: Uint8Array): Uint8Array => {
    const secrets = ['-K', aesKey(key).toString('hex'), '-iv', Buffer.from(iv).toString('hex')];
    const { status, stdout, stderr } = spawnSync('openssl', ['enc', flag, '-aes-256-cbc', ...secrets], {
      input,
      maxBuffer: 4 * MIB,
    });
    if (status !== 0) throw new Error(`openssl enc: ${stderr}`);
    return new Uint8Array(stdout);
  };
  return {
    encrypt: async (key, plain) => {
      const iv = randomBytes(16);
      return new Uint8Array(Buffer.concat([iv, enc('-e', key, iv, plain)]));
    },
    decrypt: async (key, artifact) => enc('-d', key, artifact.subarray(0, 16), artifact.subarray(16)),
  };
}

const works = (program: string, ...args: readonly string[]): boolean => spawnSync(program, args).status === 0;
const PEERS = [
  ["Python's cryptography", () => works('python3', '-c', 'import cryptography'), python],
  ['openssl enc', () => works('openssl', 'version'), async () => openssl()],
] as const;

describe.each(PEERS)('%s', (name, present, start) => {
  it('reads what we write, and we read what it writes, at every size', async (context) => {
    if (!present()) skipTest(context, `${name} is absent`);
    const peer = await start();
    const keyString = Buffer.from(random.bytes(24)).toString('base64');
    const key = await LegacyKey.fromKeyString({ text: keyString });
    for (const size of sizes) {
      const plain = random.bytes(size);
      const ours = await encrypt(plain, { key });
      expect(ours.length).toBe(16 + 16 * (Math.floor(size / 16) + 1));
      expect(Buffer.compare(await peer.decrypt(keyString, ours), plain), `${size} bytes of ours`).toBe(0);
      const theirs = await peer.encrypt(keyString, plain);
      expect(Buffer.compare(await plainOf(theirs, key), plain), `${size} bytes of theirs`).toBe(0);
    }
    print(`legacy profile: ${sizes.length} sizes agree with ${name}, both ways`);
  }, 120_000);
});
