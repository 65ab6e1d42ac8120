/** Device keys sealed at rest, to their machine and its TPM: anywhere else, and after any change of the file, they do not open. */
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceKey, decrypt, encrypt, MasterKey, SigningKey } from '../../src/index.js';
import { become, PLAIN } from '../support/bound.js';
import { failureOf } from '../support/failures.js';
import { useMachine } from '../support/machine-addon.js';
import { disturbancesOf, machineTree } from '../support/machine-tree.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { skipTest } from '../support/shared.js';
import { Swtpm, swtpmAvailable } from '../support/swtpm.js';
import { temporaryFolder } from '../support/temp.js';

useMachine('/nowhere');
process.env.TSS2_LOG = 'all+none'; // what the TPM library would print where there is no TPM
const folder = temporaryFolder('sealed-keys');
const at = (name: string): string => path.join(folder, name);
const random = seeded('sealed device keys');
const laptop = () => machineTree('laptop-two-gpus');
const LINE = 'model-guard-key v1 device sealed\n';

const codeOf = async (file: string): Promise<string> => (await failureOf(() => DeviceKey.fromFile(file))).code;
const rewritten = (name: string, content: string): string => {
  writeFileSync(at(name), content, { mode: 0o600 });
  return at(name);
};

describe('a sealed device key', () => {
  let made: DeviceKey;
  let text: string;

  beforeAll(async () => {
    await become(laptop());
    made = await DeviceKey.generate({ path: at('device.key') });
    text = readFileSync(at('device.key'), 'utf8');
  });

  it('says what it was sealed to, and lies in a private file of the format', () => {
    expect(made.sealedTo).toMatchObject({
      factors: expect.arrayContaining([{ name: 'drive', weight: 1, required: true }]),
      tpm: false,
      salts: 'default',
    });
    expect(statSync(at('device.key')).mode & 0o777).toBe(0o600);
    expect(text).toMatch(/^model-guard-key v1 device sealed\n[A-Za-z0-9_-]+\n$/);
  });

  it('opens on its machine, after every disturbance', async () => {
    const container = await encrypt(PLAIN, { recipients: [`${made.publicKey}`] });
    for (const tree of [laptop(), ...disturbancesOf('laptop-two-gpus').map((edit) => laptop().edit(edit))]) {
      await become(tree);
      const key = await DeviceKey.fromFile(at('device.key'));
      expect(key.toJSON()).toEqual(made.toJSON());
      using model = await decrypt(container, { identities: [key], unsigned: 'accept' });
      expect(Buffer.compare(model.bytes, PLAIN)).toBe(0);
    }
  });

  it('copied to another machine is refused', async () => {
    copyFileSync(at('device.key'), at('copied.key'));
    for (const other of ['bare-metal-nvme-nvidia', 'container']) {
      await become(machineTree(other));
      expect(await codeOf(at('copied.key'))).toBe('HARDWARE_MISMATCH');
    }
    await become(laptop().edit('other-drive'));
    expect(await codeOf(at('copied.key')), 'its drive in another machine').toBe('HARDWARE_MISMATCH');
  });

  it('is never written over a file, and a refused one leaves the file', async () => {
    await become(laptop());
    expect((await failureOf(() => DeviceKey.generate({ path: at('device.key') }))).code).toBe('ALREADY_EXISTS');
    expect(readFileSync(at('device.key'), 'utf8')).toBe(text);
  });

  it('is of one type: neither another class nor another first line takes it', async () => {
    await become(laptop());
    for (const Kind of [MasterKey, SigningKey])
      expect((await failureOf(() => Kind.fromFile(at('device.key')))).code).toBe('KEY_TYPE_WRONG');
    for (const line of ['master sealed', 'signing sealed', 'device plain', 'device', 'device  sealed', 'device sealed '])
      expect(await codeOf(rewritten('retyped.key', text.replace('device sealed', line))), line).toBe('KEY_INVALID');
  });

  it('truncated anywhere is refused', async () => {
    await become(laptop());
    for (let length = 0; length < text.length; length += 1)
      expect(await codeOf(rewritten('cut.key', text.slice(0, length))), `${length} bytes`).toBe('KEY_INVALID');
    expect(await codeOf(rewritten('cut.key', `${text}\n`))).toBe('KEY_INVALID');
  });
});

describe('a sealed key file with one byte changed', () => {
  it('does not open, whichever byte it is', async () => {
    await become(laptop());
    // One factor, so that a try costs one run of scrypt.
    await DeviceKey.generate({ path: at('one.key'), factors: ['drive'], atLeast: 1 });
    const text = readFileSync(at('one.key'), 'latin1');
    const places = random.shuffle(Array.from(text, (_, place) => place)).slice(0, scaled(text.length, 40));
    const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'];
    for (const place of places) {
      const letter = random.pick(letters.filter((one) => one !== text[place]));
      const changed = rewritten('changed.key', text.slice(0, place) + letter + text.slice(place + 1));
      const expected = place < LINE.length ? /^KEY_INVALID$/ : /^(KEY_INVALID|HARDWARE_MISMATCH|SALTS_MISMATCH)$/;
      expect(await codeOf(changed), `byte ${place} changed to ${letter}`).toMatch(expected);
    }
  }, 300_000);
});

describe('a device key sealed to a TPM', () => {
  const tpm = new Swtpm();
  const before = process.env.MODEL_GUARD_TCTI;
  const useTpm = (tcti: string | undefined): void => {
    if (tcti === undefined) delete process.env.MODEL_GUARD_TCTI;
    else process.env.MODEL_GUARD_TCTI = tcti;
  };
  afterAll(() => useTpm(before));

  it('opens there, and not after PCR 7 changed, on another TPM, or without one', async (context) => {
    if (!swtpmAvailable()) skipTest(context, 'swtpm and tpm2-tools are not installed');
    await tpm.start();
    useTpm(tpm.tcti);
    await become(laptop());
    const made = await DeviceKey.generate({ path: at('tpm.key') });
    expect(made.sealedTo?.tpm, 'a TPM that is usable is used').toBe(true);
    expect((await DeviceKey.fromFile(at('tpm.key'))).toJSON()).toEqual(made.toJSON());

    await tpm.restart();
    useTpm(tpm.tcti);
    expect((await DeviceKey.fromFile(at('tpm.key'))).toJSON(), 'after a reboot').toEqual(made.toJSON());
    await tpm.extendPcr(8);
    await DeviceKey.fromFile(at('tpm.key'));
    await tpm.extendPcr(7);
    expect(await codeOf(at('tpm.key')), 'PCR 7 changed').toBe('TPM_REFUSED');

    await DeviceKey.generate({ path: at('enrolled-again.key') });
    await DeviceKey.fromFile(at('enrolled-again.key'));

    await tpm.restart();
    useTpm(tpm.tcti);
    expect(await codeOf(at('enrolled-again.key')), 'bound to the changed PCR 7').toBe('TPM_REFUSED');
    await DeviceKey.fromFile(at('tpm.key'));

    const other = new Swtpm();
    await other.start();
    useTpm(other.tcti);
    expect(await codeOf(at('tpm.key')), 'another TPM').toBe('HARDWARE_MISMATCH');
    useTpm('swtpm:path=/nowhere/tpm');
    expect(await codeOf(at('tpm.key')), 'no TPM').toBe('TPM_UNAVAILABLE');
    useTpm(tpm.tcti);
    await become(machineTree('bare-metal-nvme-nvidia'));
    expect(await codeOf(at('tpm.key')), 'its TPM in another machine').toBe('HARDWARE_MISMATCH');
  }, 120_000);

  it('is bound to other PCRs where the owner says so, and not to a TPM with never', async (context) => {
    if (!swtpmAvailable()) skipTest(context, 'swtpm and tpm2-tools are not installed');
    useTpm(tpm.tcti);
    await become(laptop());
    await DeviceKey.generate({ path: at('pcrs.key'), tpm: 'required', pcrs: [8, 9] });
    await DeviceKey.generate({ path: at('never.key'), tpm: 'never' });
    await tpm.extendPcr(7);
    await DeviceKey.fromFile(at('pcrs.key'));
    await tpm.extendPcr(9);
    expect(await codeOf(at('pcrs.key'))).toBe('TPM_REFUSED');
    await DeviceKey.fromFile(at('never.key'));
  }, 120_000);
});
