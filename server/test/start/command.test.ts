/** The command line against a real server: the whole story as an administrator, a build machine and a licensed machine type it. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fingerprintOf } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { modelGuard, succeed } from '../../../test/support/cli.js';
import { Random } from '../../../test/support/seed.js';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';

describe('model-guard with a guard server', () => {
  let server: TestServer;
  let folder: string;
  let serverKey: string;
  const at = (name: string): string => join(folder, name);
  const json = async (...args: string[]) => JSON.parse((await succeed(...args, '--json')).stdout);
  const as = (who: string): string[] => ['--profile', at(`${who}.json`)];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'guard-cli-'));
    server = await startTestServer();
    await server.listen();
    serverKey = server.context.keys.signing.publicKey.toString();
    vi.stubEnv('XDG_CONFIG_HOME', at('config'));
    vi.stubEnv('XDG_STATE_HOME', at('state'));
    for (const role of ['apiAdmin', 'operator', 'companion'] as const)
      await writeFile(at(`${role}.txt`), `${server.accounts[role].email}\n${PASSWORD}\n`, { mode: 0o600 });
    await writeFile(at('model.onnx'), new Random(3).bytes(300_000));
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const login = (who: 'apiAdmin' | 'operator' | 'companion', ...more: string[]) =>
    json('login', '--url', server.url, '--server-key', serverKey, '--credentials', at(`${who}.txt`), ...as(who), ...more);

  it('logs in, remembers where, and keeps no password', async () => {
    const { account, profile } = await login('apiAdmin');
    expect(account).toMatchObject({ role: 'apiAdmin', email: 'apiAdmin@example.com' });
    const kept = await readFile(profile, 'utf8');
    expect(JSON.parse(kept)).toMatchObject({ url: server.url, serverKey });
    expect(kept).not.toContain(PASSWORD);
    await login('operator');
  });

  it('does not log in at a server with another key, nor with another password, and keeps nothing then', async () => {
    const { stdout } = await succeed('keygen', '--type', 'signing', '--out', at('stranger.key'));
    const wrong = await modelGuard(
      ...['login', '--url', server.url, '--server-key', stdout.trim()],
      ...['--credentials', at('apiAdmin.txt'), '--profile', at('none.json')],
    );
    expect([wrong.code, wrong.stderr]).toEqual([7, expect.stringContaining('SERVER_UNTRUSTED')]);
    await writeFile(at('wrong.txt'), `apiAdmin@example.com\n${PASSWORD}x\n`, { mode: 0o600 });
    const denied = await modelGuard(
      ...['login', '--url', server.url, '--server-key', serverKey, '--credentials', at('wrong.txt')],
      ...['--profile', at('none.json')],
    );
    expect([denied.code, denied.stderr]).toEqual([7, expect.stringContaining('NOT_AUTHENTICATED')]);
    expect(denied.stderr).not.toContain(PASSWORD);
    const unknown = await modelGuard('devices', 'list', '--profile', at('none.json'));
    expect([unknown.code, unknown.stderr]).toEqual([6, expect.stringContaining('model-guard login')]);
  });

  it('enrols, approves, publishes, releases, loads, and revokes', async () => {
    const { stdout: publisher } = await succeed('keygen', '--type', 'signing', '--out', at('publisher.key'));
    await succeed('keygen', '--type', 'device', '--out', at('device.key'));
    await login('companion', '--publisher', `defects=${publisher.trim()}`);
    const { device, fingerprint } = await json('enroll', '--device', at('device.key'), '--name', 'line 4', ...as('companion'));
    await succeed('models', 'publishers', 'defects', '--set', publisher.trim(), ...as('apiAdmin'));
    // After another log-in, perhaps with another password, it is still the same machine.
    await login('companion', '--publisher', `defects=${publisher.trim()}`);

    const published = await json('publish', at('model.onnx'), 'defects@1', '--sign', at('publisher.key'), ...as('operator'));
    expect(published).toMatchObject({ ref: 'defects@1', state: 'pending' });
    const { payloadId } = await json('models', 'show', 'defects@1', ...as('apiAdmin'));
    const early = await modelGuard('release', 'defects@1', '--payload', payloadId, ...as('operator'));
    expect([early.code, early.stderr]).toEqual([7, expect.stringContaining('NOT_AUTHORISED')]);
    expect(await json('models', 'list', '--state', 'pending', ...as('apiAdmin'))).toHaveLength(1);
    const unseen = await modelGuard('release', 'defects@1', ...as('apiAdmin'));
    expect([unseen.code, unseen.stderr]).toEqual([2, expect.stringContaining('--payload')]);
    const outdated = await modelGuard('models', 'reject', 'defects@1', '--payload', 'ab'.repeat(16), ...as('apiAdmin'));
    expect([outdated.code, outdated.stderr]).toEqual([7, expect.stringContaining(payloadId)]);
    await succeed('release', 'defects@1', '--payload', payloadId, ...as('apiAdmin'));

    const load = () => modelGuard('load', 'defects', '--guard', '--out', '-', ...as('companion'));
    expect((await load()).stderr).toContain('DEVICE_NOT_APPROVED');
    const wrong = await modelGuard('devices', 'approve', device, '--fingerprint', 'abcd', ...as('apiAdmin'));
    expect(wrong.code).toBe(2);
    await succeed('devices', 'approve', device, '--fingerprint', fingerprint, ...as('apiAdmin'));
    expect((await load()).stderr).toContain('NOT_AUTHORISED');
    const account = server.accounts.companion.id;
    await succeed('entitlements', 'create', 'defects', '--account', account, '--seats', '2', ...as('apiAdmin'));

    const loaded = await load();
    expect([loaded.code, loaded.stderr]).toEqual([0, expect.stringContaining('Plaintext leaves protected memory')]);
    expect(Buffer.compare(loaded.bytes, await readFile(at('model.onnx')))).toBe(0);
    expect((await succeed('leases', 'list', '--active', ...as('apiAdmin'))).stdout).toContain('defects@1');
    expect((await succeed('models', 'show', 'defects@1', ...as('companion'))).stdout).toContain('released');

    await succeed('devices', 'revoke', device, ...as('apiAdmin'));
    const revoked = await load();
    expect([revoked.code, revoked.stderr]).toEqual([7, expect.stringContaining('DEVICE_REVOKED')]);
  });

  it('unlocks an archive into a command, and fails with it', async () => {
    await succeed('keygen', '--type', 'master', '--out', at('archive.key'));
    await succeed('keygen', '--type', 'device', '--out', at('second.key'));
    const { stdout: publisher } = await succeed('keygen', '--type', 'signing', '--out', at('archives.key'));
    await succeed(
      'encrypt',
      at('model.onnx'),
      at('images.mguard'),
      '--recipient',
      at('archive.key'),
      '--sign',
      at('archives.key'),
    );
    await succeed(
      'archives',
      'register',
      at('images.mguard'),
      '--name',
      'images',
      '--master-key',
      at('archive.key'),
      ...as('apiAdmin'),
    );
    const enrolment = ['--device', at('second.key'), '--name', 'line 5', '--state-folder', at('second')];
    const { device, fingerprint } = await json('enroll', ...enrolment, ...as('companion'));
    await succeed('devices', 'approve', device, '--fingerprint', fingerprint, ...as('apiAdmin'));
    await succeed('entitlements', 'create', 'images', '--archive', '--account', server.accounts.companion.id, ...as('apiAdmin'));
    await mkdir(at('out'));
    const unlock = (...command: string[]) =>
      modelGuard(
        'unlock',
        at('images.mguard'),
        '--name',
        'images',
        '--signer',
        publisher.trim(),
        ...as('companion'),
        '--',
        ...command,
      );
    const done = await unlock('dd', `of=${at('out/plain')}`, 'status=none');
    expect([done.code, done.stderr]).toEqual([0, expect.stringMatching(/logging in.*fetching its key.*decrypting.*done/s)]);
    // The folder that was named at the enrolment.
    expect(await readdir(at('second'))).toEqual([device]);
    expect(Buffer.compare(await readFile(at('out/plain')), await readFile(at('model.onnx')))).toBe(0);
    expect((await unlock('sh', '-c', 'cat >/dev/null; exit 3')).stderr).toContain('status 3');
    const early = await unlock('head', '-c', '10');
    expect([early.code, early.stderr]).toEqual([6, expect.stringMatching(/head ended before it had read everything.*IO_FAILED/)]);
    // The password is for the client, and must not stand in the archive's output.
    vi.stubEnv('MODEL_GUARD_EMAIL', 'companion@example.com');
    vi.stubEnv('MODEL_GUARD_PASSWORD', PASSWORD);
    expect((await unlock('sh', '-c', `env > ${at('out/env')}; cat >/dev/null`)).code).toBe(0);
    vi.stubEnv('MODEL_GUARD_EMAIL', undefined);
    vi.stubEnv('MODEL_GUARD_PASSWORD', undefined);
    expect(await readFile(at('out/env'), 'utf8')).not.toMatch(/MODEL_GUARD_(EMAIL|PASSWORD)/);
    expect((await unlock(at('no-such-program'))).stderr).toContain('NOT_FOUND');
    await writeFile(at('images.mguard'), await readFile(at('model.onnx')));
    // The command is ended before the end of its input could tell it that this was the whole.
    const changed = await unlock('sh', '-c', `cat >/dev/null; : > ${at('out/taken-for-whole')}`);
    expect(changed.stderr).toContain('ARCHIVE_CHANGED');
    await expect(readFile(at('out/taken-for-whole'))).rejects.toThrow('ENOENT');
  });

  it('shows the audit log, exports it, and verifies the export without the server', async () => {
    const { auditKey: key } = await json('audit-log', 'checkpoint', '--out', at('checkpoint.json'), ...as('apiAdmin'));
    expect(key).toBe(server.context.keys.audit.publicKey.toString());
    await succeed('audit-log', 'export', '--out', at('events.jsonl'), ...as('apiAdmin'));
    expect((await succeed('audit-log', 'events', '--action', 'leases.take', ...as('apiAdmin'))).stdout).toContain(
      'model:defects@1',
    );
    const unknown = await modelGuard('audit-log', 'events', '--action', 'leases.taken', ...as('apiAdmin'));
    expect([unknown.code, unknown.stdout]).toEqual([2, '']);
    expect(unknown.stderr).toMatch(/--action leases\.taken is none of .*leases\.take, .*INVALID_ARGUMENT/s);
    const verify = () =>
      modelGuard('audit-log', 'verify', at('events.jsonl'), '--checkpoint', at('checkpoint.json'), '--key', key);
    expect((await verify()).stdout).toContain('Nothing was changed');
    const lines = (await readFile(at('events.jsonl'), 'utf8')).split('\n');
    await writeFile(at('events.jsonl'), [...lines.slice(0, 3), ...lines.slice(4)].join('\n'));
    const broken = await verify();
    expect([broken.code, broken.stderr]).toEqual([4, expect.stringContaining('AUDIT_LOG_')]);
  });

  it('declares a restore, which a device accepts by its fingerprint', async () => {
    const restored = (...more: string[]) => [
      ...['audit-log', 'restored', '--event', '999999', '--head', 'ab'.repeat(48), '--out', at('restored.json')],
      ...[...more, ...as('apiAdmin')],
    ];
    const { fingerprint } = await json(...restored());
    expect(await modelGuard(...restored())).toMatchObject({ code: 6, stderr: expect.stringContaining('[ALREADY_EXISTS]') });
    const accept = (told: string) =>
      modelGuard('audit-log', 'accept', at('restored.json'), '--fingerprint', told, ...as('companion'));
    expect(await accept('0000 0000')).toMatchObject({ code: 2, stderr: expect.not.stringContaining(fingerprint) });
    expect(await accept(fingerprint)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('goes on with the restored log'),
    });
  });

  it('makes, changes and erases accounts, and changes passwords', async () => {
    await writeFile(at('first.txt'), 'the first one of them\n', { mode: 0o600 });
    await writeFile(at('second.txt'), 'and one that she chose\n', { mode: 0o600 });
    const { stdout } = await succeed(
      ...['users', 'create', 'ada@example.com', '--role', 'operator', '--password-file', at('first.txt'), ...as('apiAdmin')],
    );
    const id = stdout.trim();
    await writeFile(at('ada.txt'), 'ada@example.com\nthe first one of them\n', { mode: 0o600 });
    const ada = ['--credentials', at('ada.txt'), ...as('operator')];
    await succeed('password', '--current', at('first.txt'), '--new', at('second.txt'), ...ada);
    expect((await modelGuard('devices', 'list', ...ada)).stderr).toContain('NOT_AUTHENTICATED');
    expect((await succeed('users', 'update', id, '--role', 'validator', '--disable', ...as('apiAdmin'))).stdout).toContain(
      'validator, disabled',
    );
    expect((await json('users', 'export', id, ...as('apiAdmin'))).account.email).toBe('ada@example.com');
    await succeed('users', 'erase', id, ...as('apiAdmin'));
    expect((await succeed('users', 'list', ...as('apiAdmin'))).stdout).not.toContain('ada@example.com');
  });

  it('rotates the encryption key and says what that does not do', async () => {
    const { stdout } = await succeed('server-keys', 'rotate', ...as('apiAdmin'));
    expect(stdout).toContain('rekey');
    expect((await succeed('server-keys', 'list', ...as('apiAdmin'))).stdout).toContain('retiring');
  });

  it('replaces the signing key, and goes on with the one that is pinned', async () => {
    const { key, previous, fingerprint } = await json('server-keys', 'rotate-signing', ...as('apiAdmin'));
    expect([previous, fingerprint]).toEqual([serverKey, fingerprintOf(key)]);
    const { stdout } = await succeed('server-keys', 'rotate-signing', ...as('apiAdmin'));
    expect(stdout).toContain(key);
    await succeed('devices', 'list', ...as('apiAdmin'));
  });

  it('asks for what is missing', async () => {
    for (const [args, said] of [
      [['login', '--url', server.url], '--server-key'],
      [['load', 'defects', '--guard', '--store', 'x', '--out', '-', ...as('companion')], '--guard'],
      [['archives', 'register', 'x', ...as('apiAdmin')], '--master-key'],
      [['login', '--url', server.url, '--server-key', serverKey, '--profile', at('none.json')], '--credentials'],
    ] as const) {
      const { code, stderr } = await modelGuard(...args);
      expect([code, stderr]).toEqual([2, expect.stringContaining(said)]);
    }
  });
});
