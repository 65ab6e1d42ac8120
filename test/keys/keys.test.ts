/** Keys stay in native memory: files, types, what a key shows, and which key fits where. */
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  DeviceKey,
  DevicePublicKey,
  decrypt,
  encrypt,
  MasterKey,
  passphrase,
  type Recipient,
  SigningKey,
  VerifyingKey,
} from '../../src/index.js';
import { encodeKey } from '../../src/keys/text.js';
import { failureOf } from '../support/failures.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('keys');
const file = (name: string): string => path.join(folder, name);
const text = (content: string) => new TextEncoder().encode(content);
const plain = text('a model');
const KINDS = { master: MasterKey, device: DeviceKey, signing: SigningKey } as const;
const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];

describe.each(kinds)('a %s key', (type) => {
  const Kind = KINDS[type];

  it('is written with mode 0600, in the format, and never over a file', async () => {
    const target = file(`${type}.key`);
    await Kind.generate().save(target);
    expect(statSync(target).mode & 0o777).toBe(0o600);
    expect(readFileSync(target, 'utf8')).toMatch(new RegExp(`^model-guard-key v1 ${type} plain\\n[A-Za-z0-9_-]+\\n$`));
    const before = readFileSync(target);
    expect((await failureOf(() => Kind.generate().save(target))).code).toBe('ALREADY_EXISTS');
    expect(readFileSync(target)).toEqual(before);
  });

  it('comes back from its file', async () => {
    const key = Kind.generate();
    await key.save(file(`${type}-again.key`));
    const again = await Kind.fromFile(file(`${type}-again.key`));
    expect(again.toJSON()).toEqual(key.toJSON());
    expect(again.type).toBe(type);
  });

  it('shows its type and public part, and nothing else', async () => {
    const key = Kind.generate();
    await key.save(file(`${type}-shown.key`));
    const [, secret = ''] = readFileSync(file(`${type}-shown.key`), 'utf8').split('\n');
    const raw = Buffer.from(secret, 'base64url');
    for (const shown of [
      inspect(key, { showHidden: true, depth: 9 }),
      JSON.stringify(key),
      String(key),
      Object.keys(key).join(),
    ]) {
      expect(shown).not.toContain(secret.slice(0, 20));
      expect(shown).not.toContain(raw.toString('hex').slice(0, 16));
    }
    expect(JSON.parse(JSON.stringify(key))).toEqual({ type, ...('publicKey' in key && { publicKey: `${key.publicKey}` }) });
    expect(inspect(key)).toBe(`${Kind.name} { ${'publicKey' in key ? key.publicKey : 'secret'} }`);
  });

  it('is not read as another kind', async () => {
    await Kind.generate().save(file(`${type}-kind.key`));
    for (const other of kinds.filter((one) => one !== type)) {
      const error = await failureOf(() => KINDS[other].fromFile(file(`${type}-kind.key`)));
      expect(error).toMatchObject({
        code: 'KEY_TYPE_WRONG',
        message: expect.stringContaining(`holds a ${type} key, not a ${other} key`),
      });
    }
  });
});

describe('key files', () => {
  const warnings: (Error & { code?: string })[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  afterEach(() => {
    process.off('warning', listen);
    warnings.length = 0;
  });

  it.each([
    [0o640, 1],
    [0o604, 1],
    [0o660, 1],
    [0o600, 0],
    [0o400, 0],
  ])('with mode %o bring %i warning', async (mode, count) => {
    process.on('warning', listen);
    const target = file(`mode-${mode}.key`);
    await MasterKey.generate().save(target);
    chmodSync(target, mode);
    await MasterKey.fromFile(target);
    await new Promise(setImmediate);
    expect(warnings.map(({ code }) => code)).toEqual(Array.from({ length: count }, () => 'MODEL_GUARD_KEY_PERMISSIONS'));
    for (const { message } of warnings) expect(message).toContain(target);
  });

  it('of a passphrase are warned about too', async () => {
    process.on('warning', listen);
    writeFileSync(file('open.txt'), 'open sesame\n', { mode: 0o644 });
    await passphrase({ file: file('open.txt') });
    await new Promise(setImmediate);
    expect(warnings).toMatchObject([{ code: 'MODEL_GUARD_KEY_PERMISSIONS' }]);
  });

  it.each([
    ['nothing', ''],
    ['text', 'hello\n'],
    ['an unknown type', 'model-guard-key v1 other plain\nAAAA\n'],
    ['too short a key', 'model-guard-key v1 master plain\nAAAA\n'],
    ['something after the key', `model-guard-key v1 master plain\n${'A'.repeat(43)}\nx\n`],
    ['no last line end', `model-guard-key v1 master plain\n${'A'.repeat(43)}`],
  ])('with %s are refused', async (what, content) => {
    writeFileSync(file(`bad ${what}`), content, { mode: 0o600 });
    expect((await failureOf(() => MasterKey.fromFile(file(`bad ${what}`)))).code).toBe('KEY_INVALID');
  });

  it('that are missing, or folders, are named', async () => {
    expect(await failureOf(() => MasterKey.fromFile(file('none')))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(file('none')),
    });
    expect((await failureOf(() => MasterKey.fromFile(folder))).code).toBe('SOURCE_UNSUPPORTED');
    expect((await failureOf(() => MasterKey.generate().save(file('none/key')))).code).toBe('NOT_FOUND');
    expect((await failureOf(() => MasterKey.fromFile(''))).code).toBe('INVALID_ARGUMENT');
  });
});

describe('public keys as text', () => {
  const verifying = SigningKey.generate().publicKey;
  const device = DeviceKey.generate().publicKey;

  it('come back the same', () => {
    expect(new VerifyingKey(`${verifying}`).toString()).toBe(`${verifying}`);
    expect(new DevicePublicKey(`${device}`).toString()).toBe(`${device}`);
    expect(JSON.stringify([verifying, device])).toBe(JSON.stringify([`${verifying}`, `${device}`]));
    expect(inspect(verifying)).toBe(`VerifyingKey { ${verifying} }`);
  });

  it.each([
    ['another prefix', () => new VerifyingKey('mgq1:AAAA'), 'KEY_INVALID'],
    ['no prefix', () => new VerifyingKey('AAAA'), 'KEY_INVALID'],
    ['too short', () => new VerifyingKey('mgs1:AAAA'), 'KEY_INVALID'],
    ['padding', () => new VerifyingKey(`${verifying}=`), 'KEY_INVALID'],
    ['a line end', () => new VerifyingKey(`${verifying}\n`), 'KEY_INVALID'],
    ['standard base64', () => new VerifyingKey(`mgs1:${'+'.repeat(43)}`), 'KEY_INVALID'],
    ['bits beyond the key', () => new VerifyingKey(`mgs1:${'A'.repeat(42)}B`), 'KEY_INVALID'],
    ['a device as publisher', () => new VerifyingKey(`${device}`), 'KEY_TYPE_WRONG'],
    ['a publisher as device', () => new DevicePublicKey(`${verifying}`), 'KEY_TYPE_WRONG'],
    ['31 bytes', () => new VerifyingKey(new Uint8Array(31)), 'KEY_INVALID'],
  ])('with %s are refused', async (_, make, code) => {
    expect((await failureOf(make)).code).toBe(code);
  });

  it('are copied, not shared with the caller', () => {
    const bytes = new Uint8Array(32).fill(7);
    const key = new VerifyingKey(bytes);
    bytes.fill(9);
    expect(key.toString()).toBe(encodeKey('mgs1:', new Uint8Array(32).fill(7)));
  });
});

describe('passphrases', () => {
  it('from a file, the environment or bytes are the same, with one trailing newline dropped', async () => {
    writeFileSync(file('pass.txt'), 'correct horse\n', { mode: 0o600 });
    vi.stubEnv('MG_TEST_PASSPHRASE', 'correct horse');
    const container = await encrypt(plain, { recipients: [await passphrase({ file: file('pass.txt') })] });
    for (const source of [{ env: 'MG_TEST_PASSPHRASE' }, { bytes: text('correct horse\r\n') }]) {
      using model = await decrypt(container, { identities: [await passphrase(source)], unsigned: 'accept' });
      expect([...model.bytes]).toEqual([...plain]);
    }
    vi.unstubAllEnvs();
  });

  it('are copied, so that the caller can wipe', async () => {
    const bytes = text('wipe me');
    const made = passphrase({ bytes });
    bytes.fill(0);
    const container = await encrypt(plain, { recipients: [await made] });
    const identities = [await passphrase({ bytes: text('wipe me') })];
    (await decrypt(container, { identities, unsigned: 'accept' })).dispose();
  });

  it.each([
    ['empty', { bytes: text('') }, 'PASSPHRASE_INVALID'],
    ['a mere newline', { bytes: text('\n') }, 'PASSPHRASE_INVALID'],
    ['too long', { bytes: text('x'.repeat(1025)) }, 'PASSPHRASE_INVALID'],
    ['not UTF-8', { bytes: Uint8Array.of(0xff) }, 'PASSPHRASE_INVALID'],
    ['in no such variable', { env: 'MG_NO_SUCH_VARIABLE' }, 'NOT_FOUND'],
    ['in no such file', { file: '/nowhere/at/all' }, 'NOT_FOUND'],
    ['from two sources', { env: 'HOME', bytes: text('x') }, 'INVALID_ARGUMENT'],
    ['from nowhere', {}, 'INVALID_ARGUMENT'],
  ])('that are %s are refused', async (_, source, code) => {
    expect((await failureOf(() => passphrase(source))).code).toBe(code);
  });
});

describe('which key fits where', () => {
  const master = MasterKey.generate();
  const device = DeviceKey.generate();
  const signing = SigningKey.generate();
  const sealTo =
    (...recipients: unknown[]) =>
    () =>
      encrypt(plain, { recipients: recipients as Recipient[] });

  const sealToTwice = async () => {
    const [name, other] = ['twice.key', 'other.key'].map((file) => path.join(folder, file)) as [string, string];
    await master.save(name);
    await MasterKey.generate().save(other);
    return sealTo(...(await Promise.all([name, other, name].map((file) => MasterKey.fromFile(file)))))();
  };

  it('every recipient opens what was encrypted to it, in each way it can be given', async () => {
    const x25519 = encodeKey('mgx1:', Buffer.from(`${device.publicKey}`.slice(5), 'base64url').subarray(0, 32));
    for (const recipient of [device, device.publicKey, `${device.publicKey}`, x25519]) {
      using model = await decrypt(await sealTo(recipient)(), { identities: [master, device], unsigned: 'accept' });
      expect([...model.bytes]).toEqual([...plain]);
    }
  });

  it.each([
    ['the same object twice', sealTo(master, master), 'INVALID_ARGUMENT', 'recipients[1]: was already given'],
    [
      'a device and its public key',
      sealTo(device, master, device.publicKey),
      'INVALID_ARGUMENT',
      'recipients[2]: was already given',
    ],
    ['one master key as two objects', sealToTwice, 'INVALID_ARGUMENT', 'recipients[2]: was already given'],
    ['a device and its text', sealTo(device, `${device.publicKey}`), 'INVALID_ARGUMENT', 'recipients[1]: was already given'],
    ['a signing key', sealTo(signing), 'KEY_TYPE_WRONG', 'recipients[0]: wants'],
    ["a publisher's public key", sealTo(`${signing.publicKey}`), 'KEY_TYPE_WRONG', 'an Ed25519 public key'],
    ["a publisher's public key as object", sealTo(signing.publicKey), 'KEY_TYPE_WRONG', 'a public signing key'],
    ['text that is no key', sealTo('master.key'), 'KEY_INVALID', 'begins with mgx1: or mgd1:'],
    ['a number', sealTo(master, 5), 'KEY_TYPE_WRONG', 'a value of type number'],
  ])('recipients: %s is refused', async (_, run, code, message) => {
    expect(await failureOf(run)).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('recipients: a second passphrase is refused', async () => {
    const two = [await passphrase({ bytes: text('one') }), await passphrase({ bytes: text('two') })];
    expect(await failureOf(sealTo(...two))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('second passphrase'),
    });
  });

  it('identities, signer and verifier refuse keys of another type', async () => {
    const container = await encrypt(plain, { recipients: [master], signer: signing });
    const open = (options: object) => () =>
      decrypt(container, { identities: [master], ...options } as Parameters<typeof decrypt>[1]);
    const wrong = [
      open({ identities: [signing], unsigned: 'accept' }),
      open({ identities: [device.publicKey], unsigned: 'accept' }),
      open({ identities: [`${device.publicKey}`], unsigned: 'accept' }),
      open({ verifier: signing }),
      open({ verifier: `${device.publicKey}` }),
      open({ verifier: [signing.publicKey, master] }),
      () => encrypt(plain, { recipients: [master], signer: master as unknown as SigningKey }),
      () => encrypt(plain, { recipients: [master], signer: device as unknown as SigningKey }),
    ];
    for (const run of wrong) expect((await failureOf(run)).code).toBe('KEY_TYPE_WRONG');
  });

  it('keys of another copy of this package are accepted', async () => {
    vi.resetModules();
    const copy = await import('../../src/index.js');
    expect(copy.MasterKey).not.toBe(MasterKey);
    const foreign = copy.DeviceKey.generate();
    const recipients = [copy.MasterKey.generate(), foreign.publicKey] as unknown as Recipient[];
    const container = await encrypt(plain, { recipients, signer: copy.SigningKey.generate() as unknown as SigningKey });
    using model = await decrypt(container, { identities: [foreign as unknown as DeviceKey], unsigned: 'accept' });
    expect([...model.bytes]).toEqual([...plain]);
  });
});
