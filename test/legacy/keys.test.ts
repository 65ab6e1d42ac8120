/** Key strings and the four derivations, against what docs/legacy.md says of them, computed here by node:crypto. */
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import * as main from '../../src/index.js';
import { encrypt, LegacyKey, type LegacyText } from '../../src/legacy/index.js';
import { call } from '../../src/native/index.js';
import { failureOf } from '../support/failures.js';
import { type KeyString, openLegacy } from '../support/legacy.js';
import { skipTest } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('legacy-keys');
const file = (name: string, content: string | Uint8Array, mode = 0o600): string => {
  const target = path.join(folder, name);
  writeFileSync(target, content, { mode });
  chmodSync(target, mode);
  return target;
};
const probe = new TextEncoder().encode('what the key encrypts');

/** Key strings cannot be read back: a key is known by what it encrypts. */
async function expectKey(key: LegacyKey, expected: KeyString): Promise<void> {
  const artifact = await encrypt(probe, { key });
  expect(Buffer.compare(openLegacy(artifact, expected), probe)).toBe(0);
}

const ENVIRONMENT = 'MODEL_GUARD_TEST_KEY_STRING';
afterAll(() => vi.unstubAllEnvs());

const warnings: (Error & { code?: string })[] = [];
const listen = (warning: Error) => warnings.push(warning);
afterEach(() => {
  process.off('warning', listen);
  warnings.length = 0;
});

describe('a key string', () => {
  const bytes = Uint8Array.from([0, 1, 0x80, 0xff, 0x0a]);

  it('comes from a file, the environment, bytes or text, as it is', async () => {
    vi.stubEnv(ENVIRONMENT, 'clé = ÜΩ');
    await expectKey(await LegacyKey.fromKeyString({ text: 'clé = ÜΩ' }), 'clé = ÜΩ');
    await expectKey(await LegacyKey.fromKeyString({ text: ' key\n' }), ' key\n');
    await expectKey(await LegacyKey.fromKeyString({ env: ENVIRONMENT }), 'clé = ÜΩ');
    await expectKey(await LegacyKey.fromKeyString({ bytes }), bytes);
    await expectKey(await LegacyKey.fromKeyString({ file: file('plain', 'a key') }), 'a key');
    await expectKey(await LegacyKey.fromKeyString({ text: 'x'.repeat(4096) }), 'x'.repeat(4096));
  });

  it('from a file loses one newline at its end, and no more', async () => {
    await expectKey(await LegacyKey.fromKeyString({ file: file('newline', 'a key\n') }), 'a key');
    await expectKey(await LegacyKey.fromKeyString({ file: file('newlines', 'a key\n\n') }), 'a key\n');
  });

  it('is copied before the call returns', async () => {
    const mine = bytes.slice();
    const reading = LegacyKey.fromKeyString({ bytes: mine });
    mine.fill(0);
    await expectKey(await reading, bytes);
  });

  it("is an archive's fragment", async () => {
    await expectKey(await LegacyKey.forArchive({ text: 'fragment 7' }), 'fragment 7');
  });

  it.each([
    ['no source', {}, 'INVALID_ARGUMENT', /exactly one of file, env, bytes, text/],
    ['two sources', { text: 'a', env: 'B' }, 'INVALID_ARGUMENT', /exactly one/],
    ['another source', { path: 'x' }, 'INVALID_ARGUMENT', /^source \(path\)/],
    ['bytes that are none', { bytes: [1] }, 'INVALID_ARGUMENT', /^source\.bytes/],
    ['nothing at all', undefined, 'INVALID_ARGUMENT', /^source/],
    ['empty text', { text: '' }, 'KEY_INVALID', /./],
    ['empty bytes', { bytes: new Uint8Array() }, 'KEY_INVALID', /./],
    ['4,097 bytes', { text: 'x'.repeat(4097) }, 'KEY_INVALID', /./],
    ['a file that is missing', { file: '/nowhere/key' }, 'NOT_FOUND', /\/nowhere\/key/],
    ['a folder', { file: folder }, 'SOURCE_UNSUPPORTED', /./],
    ['a variable that is not set', { env: 'MODEL_GUARD_TEST_UNSET' }, 'NOT_FOUND', /MODEL_GUARD_TEST_UNSET/],
  ])('is refused: %s', async (_, source, code, message) => {
    const error = await failureOf(() => LegacyKey.fromKeyString(source as LegacyText));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('is refused in a file that is too large, which is another file than was meant', async () => {
    const large = file('large', 'x'.repeat(5 * 1024 + 1));
    const from = { file: large };
    const reads = [
      () => LegacyKey.fromKeyString(from),
      () => LegacyKey.hardwareHash({ fingerprint: from }),
      async () =>
        LegacyKey.forDownload({ email: from, password: from, hardwareHash: await LegacyKey.fromKeyString({ text: 'x' }) }),
    ];
    for (const read of reads)
      expect(await failureOf(read)).toMatchObject({
        code: 'LIMIT_EXCEEDED',
        message: expect.stringMatching(/large' is larger than 5 KiB\. Check that this is the file that was meant\.$/),
      });
  });

  it.each([
    [0o640, 1],
    [0o600, 0],
  ])('in a file with mode %o brings %i warnings', async (mode, count) => {
    process.on('warning', listen);
    await LegacyKey.fromKeyString({ file: file(`mode-${mode}`, 'a key', mode) });
    await new Promise(setImmediate);
    expect(warnings.map(({ code }) => code)).toEqual(Array.from({ length: count }, () => 'MODEL_GUARD_KEY_PERMISSIONS'));
  });

  it('shows nothing of itself', async () => {
    const key = await LegacyKey.fromKeyString({ text: 'do not show me' });
    expect(JSON.stringify(key)).toBe('{"type":"legacy"}');
    expect(inspect(key, { showHidden: true, depth: 9 })).toBe('LegacyKey { secret }');
    expect(Object.keys(key)).toEqual(['type']);
    expect(key).not.toHaveProperty('save');
  });
});

type Encoding = 'base64' | 'hex';
const sha384 = (encoding: Encoding, ...parts: readonly string[]): string =>
  createHash('sha384').update(parts.join(''), 'utf8').digest(encoding);
const OWN = { download: 'the download salt', hardware: 'salt with spaces ', resource: 'Salz für Ressourcen' } as const;
const ownSalts = file(
  'salts',
  `model-guard-salts v1\n${Object.entries(OWN)
    .map(([name, salt]) => `legacy-${name} ${salt}\n`)
    .join('')}`,
);
// docs/format.md, section 13
const publicSalt = (name: string): string =>
  createHash('sha256').update(`model-guard public default ${name} salt`).digest('base64url');
const DEFAULTS = { download: publicSalt('download'), hardware: publicSalt('hardware'), resource: publicSalt('resource') };
const fingerprint = 'CPU: A. GPU: B. Memory: 16384 MiB. DriveSerial: S3X9';

describe.each([
  ['the compiled-in salts', DEFAULTS, {}],
  ['a salts file', OWN, { salts: ownSalts }],
] as const)('derived with %s', (_, salt, where) => {
  it.for(['base64', 'hex', undefined] as const)('keys are those of docs/legacy.md, as %s', async (encoding, context) => {
    if (salt === DEFAULTS && !call((native) => native.salts().default)) skipTest(context, 'this build has salts of its own');
    const written = encoding ?? 'base64';
    const options = { ...where, ...(encoding && { encoding }) };
    await expectKey(await LegacyKey.forResource(options), sha384(written, salt.resource));
    const hash = sha384(written, 'Azaion_', fingerprint, salt.hardware);
    const hardwareHash = await LegacyKey.hardwareHash({ ...options, fingerprint: { text: fingerprint } });
    await expectKey(hardwareHash, hash);
    const [email, password] = ['someone@example.com', 'pässwörd'];
    const from = { ...options, email: { text: email }, password: { text: password } };
    const expected = sha384(written, email, password, hash, salt.download);
    await expectKey(await LegacyKey.forDownload({ ...from, hardwareHash }), expected);
    const known = await LegacyKey.fromKeyString({ text: hash });
    await expectKey(await LegacyKey.forDownload({ ...from, hardwareHash: known }), expected);
  });
});

// The factors of docs/format.md, section 12, as this machine has them.
function cpu(): string {
  const names = [...readFileSync('/proc/cpuinfo', 'utf8').matchAll(/^model name\s*: (.*)$/gm)].map(([, name = '']) => name);
  return [...new Set(names.map((name) => name.replace(/\s+/g, ' ').trim()))].sort().join(', ');
}
function memory(): string {
  const kib = Number(/^MemTotal:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
  const mib = Math.ceil(kib / 1024);
  const step = Math.max(1, 2 ** Math.floor(Math.log2(mib)) / 4);
  return `${Math.ceil(mib / step) * step} MiB`;
}

describe('derivations', () => {
  it('read their texts from files and the environment too', async () => {
    vi.stubEnv(ENVIRONMENT, 'a password');
    const hardwareHash = await LegacyKey.hardwareHash({
      salts: ownSalts,
      fingerprint: { file: file('print', `${fingerprint}\n`) },
    });
    const hash = sha384('base64', 'Azaion_', fingerprint, OWN.hardware);
    await expectKey(hardwareHash, hash);
    const sources = { email: { bytes: new TextEncoder().encode('a@b') }, password: { env: ENVIRONMENT } };
    const key = await LegacyKey.forDownload({ ...sources, salts: ownSalts, hardwareHash });
    await expectKey(key, sha384('base64', 'a@b', 'a password', hash, OWN.download));
  });

  it("hash this machine's fingerprint where none is given", async (context) => {
    const { factors } = await main.fingerprint({ values: true });
    const [, gpu, , drive] = factors;
    if (gpu?.quality !== 'absent') skipTest(context, 'what a fingerprint shows of graphics is not what is hashed');
    const text = `CPU: ${cpu()}. GPU: . Memory: ${memory()}. DriveSerial: ${drive?.value ?? ''}`;
    await expectKey(await LegacyKey.hardwareHash({ salts: ownSalts }), sha384('base64', 'Azaion_', text, OWN.hardware));
  });

  it('warn where others may read the salts or a text', async () => {
    process.on('warning', listen);
    const salts = file('open-salts', 'model-guard-salts v1\nlegacy-hardware s\n', 0o644);
    const print = file('open-print', fingerprint, 0o604);
    await LegacyKey.hardwareHash({ salts, fingerprint: { file: print } });
    await new Promise(setImmediate);
    expect(warnings).toHaveLength(2);
    for (const one of [salts, print])
      expect(warnings).toContainEqual(
        expect.objectContaining({ code: 'MODEL_GUARD_KEY_PERMISSIONS', message: expect.stringContaining(one) }),
      );
  });

  it.each([
    ['a salts file that is missing', { salts: '/nowhere/salts' }, 'NOT_FOUND'],
    ['one without this salt', { salts: file('poor', 'model-guard-salts v1\nlegacy-hardware s\n') }, 'SALTS_INVALID'],
    ['one that is something else', { salts: file('other', 'hello\n') }, 'SALTS_INVALID'],
    ['one that is empty', { salts: file('empty', '') }, 'SALTS_INVALID'],
    ['an unknown encoding', { encoding: 'base32' }, 'INVALID_ARGUMENT'],
    ['an unknown option', { colour: 'red' }, 'INVALID_ARGUMENT'],
  ])('refuse %s', async (_, options, code) => {
    expect((await failureOf(() => LegacyKey.forResource(options as { salts: string }))).code).toBe(code);
  });

  it('want a LegacyKey as hardware hash', async () => {
    const hardwareHash = main.MasterKey.generate() as unknown as LegacyKey;
    const error = await failureOf(() => LegacyKey.forDownload({ email: { text: 'a' }, password: { text: 'b' }, hardwareHash }));
    expect(error).toMatchObject({
      code: 'KEY_TYPE_WRONG',
      message: expect.stringContaining('options.hardwareHash: wants a LegacyKey'),
    });
  });
});

describe('keys fit where they belong', () => {
  const master = main.MasterKey.generate();
  const refused = { code: 'KEY_TYPE_WRONG', message: expect.stringContaining('not a legacy key') };

  it('a LegacyKey is no recipient, identity or signer of a container', async () => {
    const key = (await LegacyKey.fromKeyString({ text: 'k' })) as unknown as main.MasterKey & main.SigningKey;
    const container = await main.encrypt(probe, { recipients: [master] });
    expect(await failureOf(() => main.encrypt(probe, { recipients: [key] }))).toMatchObject(refused);
    expect(await failureOf(() => main.decrypt(container, { identities: [key], unsigned: 'accept' }))).toMatchObject(refused);
    expect(await failureOf(() => main.encrypt(probe, { recipients: [master], signer: key }))).toMatchObject(refused);
  });

  it('no other key encrypts or opens an artifact', async () => {
    for (const key of [master, main.DeviceKey.generate(), main.SigningKey.generate(), 'text', {}]) {
      const error = await failureOf(() => encrypt(probe, { key: key as unknown as LegacyKey }));
      expect(error).toMatchObject({ code: 'KEY_TYPE_WRONG', message: expect.stringContaining('options.key: wants a LegacyKey') });
    }
    expect((await failureOf(() => encrypt(probe, {} as { key: LegacyKey }))).code).toBe('INVALID_ARGUMENT');
  });
});
