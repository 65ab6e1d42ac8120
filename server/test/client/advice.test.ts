/**
 * The advice after a refusal: one, and the right one. If these fail, a person is sent to an administrator, or to a folder, where
 * a command would help.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GuardServer, protect, SigningKey } from '@org/model-guard';
import { ERROR_CODES } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../../../test/support/failures.js';
import { clientOf } from '../support/clients.js';
import { startTestServer, type TestServer } from '../support/server.js';

const signer = SigningKey.generate();
const stranger = SigningKey.generate();
let server: TestServer;
let admin: GuardServer;
let administrator: GuardServer;
let model: string;

beforeAll(async () => {
  server = await startTestServer();
  await server.listen();
  model = join(server.folder, 'net.onnx');
  writeFileSync(model, Buffer.alloc(20_000, 'model'));
  admin = clientOf(server, { role: 'admin' });
  administrator = clientOf(server, { role: 'apiAdmin' });
  await admin.publishers.set('net', [signer.publicKey]);
  for (const version of ['1', '2']) await protect(model, { name: 'net', version, signer, to: admin });
});
afterAll(() => server.close());

const publish = (to: GuardServer, name: string, version: string, key = signer) =>
  protect(model, { name, version, signer: key, to });
const newAccount = { email: 'new@example.com', password: 'a long phrase, never guessed', role: 'operator' } as const;

describe('a refusal', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    [
      'for want of a permission names the roles that have it',
      () => publish(clientOf(server, { role: 'companion' }), 'net', '9'),
      'The role companion does not have the permission models.publish. Have an administrator give this account a role that has it: operator, validator, admin, resourceUploader, apiAdmin.',
    ],
    [
      'of a name that has no publishers speaks of the name and the keys, not of roles',
      () => publish(admin, 'nett', '1'),
      'No publisher key is registered for nett. Check the name, or have an administrator register the keys that may sign it (`model-guard models publishers nett --set …`).',
    ],
    [
      'of a key that is not registered speaks of that key',
      () => publish(admin, 'net', '3', stranger),
      'The key that signed net@3 is not registered for net. Sign with a key that is, or have an administrator register yours (`model-guard models publishers net --set …`).',
    ],
    [
      'of an older version advises once',
      async () => admin.release('net@1', { payloadId: (await admin.models.get('net@1')).payloadId }),
      'net@2 is newer, and is released. Ask for it explicitly (rollback: true, --rollback): the newer one is then rejected.',
    ],
    [
      'of a second account speaks of accounts, not of files',
      async () => {
        await administrator.users.create(newAccount);
        await administrator.users.create(newAccount);
      },
      'There is an account with this e-mail address. Change that one (`model-guard users update`, `users reset-password`), or give another address.',
    ],
    [
      'of the old password as the new one speaks of no length',
      () => {
        const { password } = server.accounts.operator;
        return clientOf(server).account.changePassword(password, password);
      },
      'The new password is the old one. Choose another one.',
    ],
    [
      'of a weak password says how a good one is made',
      () => administrator.users.create({ ...newAccount, email: 'weak@example.com', password: 'abababababababab' }),
      `The password repeats a few characters. ${ERROR_CODES.PASSWORD_WEAK.advice}`,
    ],
    [
      'of an archive that is not there speaks of archives',
      () => administrator.archives.delete('images'),
      'There is no archive images. Look at the list of archives (`model-guard archives list`).',
    ],
  ])('%s', async (_what, task, message) => {
    const error = await failureOf(task);
    expect(error.message.replace(/ \(request [\w-]+\)/, '')).toBe(message);
  });

  it('of an account whose password must be changed first names the command, whatever the token says', async () => {
    const { id } = await clientOf(server, { role: 'validator' }).account.get();
    const validator = clientOf(server, { role: 'validator' });
    await validator.models.get('net@1');
    await server.context.db.updateTable('users').set({ must_change_password: 1 }).where('id', '=', id).execute();
    const { message } = await failureOf(() => validator.models.get('net@1'));
    expect(message).toMatch(/must be changed first.*\. Change it: `model-guard password --current FILE --new FILE`[^.]*\.$/);
    expect(message).not.toContain(ERROR_CODES.NOT_AUTHORISED.advice);
  });
});
