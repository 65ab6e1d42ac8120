/** The longest array of a runtime. If these fail, `bytes` of a large file ends the process, or is refused where the runtime could hold it. */
import { constants } from 'node:buffer';
import { afterEach, expect, it } from 'vitest';
import { decrypt, encrypt, MasterKey } from '../../src/index.js';
import { call } from '../../src/native/index.js';
import { failureOf } from '../support/failures.js';

const limit = (bytes: number): void => call((native) => native.setMaxArray(bytes));
afterEach(() => limit(constants.MAX_LENGTH));

it('is what the runtime says: a longer file is refused as bytes, and read in ranges', async () => {
  const key = MasterKey.generate();
  const sealed = await encrypt(Buffer.alloc(1001, 7), { recipients: [key] });
  using model = await decrypt(sealed, { identities: [key], unsigned: 'accept' });
  limit(1000);
  const { code, message } = await failureOf(() => model.bytes);
  expect(code).toBe('LIMIT_EXCEEDED');
  expect(message).toMatch(/'model' has 1001 bytes; an array of this runtime holds at most 1000\..*read\(offset, length\)/);
  expect((await failureOf(() => model.read(0, 1001))).code).toBe('LIMIT_EXCEEDED');
  expect(await model.read(1, 1000)).toHaveLength(1000);
  limit(1001);
  expect(model.bytes).toHaveLength(1001);
});
