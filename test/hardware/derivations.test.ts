/** A container that asks for more key derivations than it may: every way to open passes the bound on, and the error names it. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  decrypt,
  decryptFile,
  encrypt,
  hardware,
  load,
  MasterKey,
  memoryStore,
  passphrase,
  protect,
  rekey,
  rewrap,
  split,
} from '../../src/index.js';
import { become, exportOn, PLAIN } from '../support/bound.js';
import { modelGuard } from '../support/cli.js';
import { failureOf } from '../support/failures.js';
import { useMachine } from '../support/machine-addon.js';
import { machineTree } from '../support/machine-tree.js';
import { temporaryFolder } from '../support/temp.js';

useMachine('/nowhere');
const folder = temporaryFolder('derivations');
const at = (name: string): string => path.join(folder, name);
const unsigned = 'accept';
const exceeded = { code: 'DERIVATIONS_EXCEEDED', message: expect.stringMatching(/maxDerivations, --max-derivations/) };

describe('a model for three machines, two factors each', () => {
  it('opens on the last of them with six derivations and not with five; its own file needs two', async () => {
    const policy = { factors: ['cpu', 'drive'] as const };
    const files = [];
    for (const name of ['vm-virtio', 'laptop-two-gpus', 'sata-server']) files.push(await exportOn(machineTree(name), policy));
    const container = await encrypt(PLAIN, { recipients: files.map((file) => hardware(file)) });
    await become(machineTree('sata-server'));
    const openWith = async (identity = hardware(), maxDerivations?: number) => {
      using model = await decrypt(container, { identities: [identity], unsigned, maxDerivations });
      return model.files.size;
    };
    expect(await openWith()).toBe(1);
    expect(await openWith(hardware(), 6)).toBe(1);
    expect(await failureOf(() => openWith(hardware(), 5))).toMatchObject(exceeded);
    const own = hardware(files[2] as string);
    expect(await openWith(own, 2)).toBe(1);
    expect(await failureOf(() => openWith(own, 1))).toMatchObject(exceeded);
  });
});

describe('a passphrase', async () => {
  writeFileSync(at('pass.txt'), 'correct horse battery staple', { mode: 0o600 });
  const phrase = await passphrase({ file: at('pass.txt') });
  const key = MasterKey.generate();
  const container = await encrypt(PLAIN, { recipients: [phrase] });
  writeFileSync(at('model.mguard'), container);
  writeFileSync(at('plain.bin'), PLAIN);
  const { small } = await split(container);
  const store = memoryStore();
  await protect(at('plain.bin'), { name: 'm', version: '1', to: store, recipients: [phrase] });
  const stopped = { identities: [phrase], unsigned, maxDerivations: 3 } as const;

  it.each<[string, () => Promise<unknown>]>([
    ['decrypt', () => decrypt(container, stopped)],
    ['decryptFile', () => decryptFile(at('model.mguard'), stopped)],
    ['load', () => load('m@1', { from: store, ...stopped })],
    ['rekey', () => rekey('m@1', { store, recipients: [key], ...stopped })],
    ['rewrap', () => rewrap(small, { identities: [phrase], recipients: [key], maxDerivations: 3 })],
  ])('takes four: %s with three ends in the error', async (_, open) => {
    expect(await failureOf(open)).toMatchObject(exceeded);
  });

  it('opens with four, and without a bound that was given', async () => {
    for (const maxDerivations of [4, undefined]) {
      using model = await decrypt(container, { identities: [phrase], unsigned, maxDerivations });
      expect(Buffer.from(model.bytes)).toEqual(Buffer.from(PLAIN));
    }
  });

  it('is bounded by a flag of the command', async () => {
    const args = ['decrypt', at('model.mguard'), at('out'), '--passphrase-file', at('pass.txt'), '--unsigned', 'accept'];
    expect(await modelGuard(...args, '--max-derivations', '3')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/--max-derivations/),
    });
    expect(await modelGuard(...args, '--max-derivations', '4')).toMatchObject({ code: 0 });
  });

  it.each([-1, 1.5, 1025, Number.NaN])('has no bound of %s', async (maxDerivations) => {
    const error = await failureOf(() => decrypt(container, { ...stopped, maxDerivations }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/options\.maxDerivations/) });
  });
});
