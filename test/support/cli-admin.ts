/** A fake guard server, and a profile of its administrator for the command. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { FakeGuard, failure } from './fake-guard.js';
import { temporaryFolder } from './temp.js';

/** Starts the server before the tests of a file. It knows one account, ada@example.org. */
export function administrate(name: string) {
  const base = temporaryFolder(name);
  const at = (file: string): string => path.join(base, file);
  const guard = new FakeGuard();
  const ada = {
    id: 'a'.repeat(32),
    email: 'Ada@example.org',
    role: 'operator',
    disabled: false,
    mustChangePassword: false,
    created: guard.now,
  };
  beforeAll(async () => {
    await guard.listen();
    writeFileSync(at('account.txt'), 'admin@example.org\na long phrase that is hard to guess\n', { mode: 0o600 });
    const profile = { url: guard.url, serverKey: guard.serverKey, credentials: at('account.txt') };
    writeFileSync(at('server.json'), JSON.stringify(profile), { mode: 0o600 });
  });
  beforeEach(() => {
    guard.restore();
    guard.on('findUser', ({ json }) =>
      json.email === 'ada@Example.org' ? { json: { account: ada.id } } : failure(404, 'NOT_FOUND'),
    );
  });
  afterAll(() => guard.close());
  return {
    at,
    guard,
    ada,
    profile: ['--profile', at('server.json')],
    /** The first request for this route. */
    asked: (route: string) => guard.asked.find((one) => one.name === route),
  };
}
