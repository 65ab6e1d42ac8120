/** The options that machine binding accepts, and what its objects show. */
import path from 'node:path';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  DeviceKey,
  decrypt,
  type ExportMachineOptions,
  encrypt,
  exportMachine,
  fingerprint,
  hardware,
  inspect as inspectContainer,
  type MachineDemand,
  MasterKey,
  rewrap,
  type SigningKey,
  split,
  type Verifier,
} from '../../src/index.js';
import { resolveIdentities, resolveRecipients } from '../../src/recipients/resolve.js';
import { become, bindTo, encryptTo, exportOn, openOn, PLAIN } from '../support/bound.js';
import { failureOf } from '../support/failures.js';
import { useMachine } from '../support/machine-addon.js';
import { machineTree } from '../support/machine-tree.js';
import { temporaryFolder } from '../support/temp.js';

useMachine('/nowhere');
process.env.TSS2_LOG = 'all+none'; // what the TPM library would print where there is no TPM
const folder = temporaryFolder('hardware-options');
const at = (name: string): string => path.join(folder, name);
const server = () => machineTree('sata-server');

const exporting = (policy: object) => () => exportMachine(at('refused.json'), policy as ExportMachineOptions);
const refused: readonly [string, () => unknown, string, RegExp][] = [
  ['an unknown option', exporting({ colour: 'red' }), 'INVALID_ARGUMENT', /^options \(colour\)/],
  ['an unknown factor', exporting({ factors: ['colour'] }), 'INVALID_ARGUMENT', /^options\.factors\[0\]/],
  ['no factor that counts', exporting({ factors: [] }), 'INVALID_ARGUMENT', /^options\.factors/],
  ['a factor twice', exporting({ require: ['drive', 'drive'] }), 'INVALID_ARGUMENT', /^options\.require: names a factor twice/],
  ['a weight of an unknown factor', exporting({ weights: { colour: 1 } }), 'INVALID_ARGUMENT', /^options\.weights \(colour\)/],
  ['a weight above 16', exporting({ weights: { drive: 17 } }), 'INVALID_ARGUMENT', /^options\.weights\.drive/],
  ['half a weight', exporting({ weights: { drive: 1.5 } }), 'INVALID_ARGUMENT', /^options\.weights\.drive/],
  ['none of n', exporting({ atLeast: 0 }), 'INVALID_ARGUMENT', /^options\.atLeast/],
  ['a use of the TPM that is none', exporting({ tpm: 'maybe' }), 'INVALID_ARGUMENT', /^options\.tpm/],
  ['PCR 24', exporting({ tpm: 'required', pcrs: [24] }), 'INVALID_ARGUMENT', /^options\.pcrs\[0\]/],
  ['PCRs without a TPM', exporting({ pcrs: [7] }), 'INVALID_ARGUMENT', /^options\.pcrs/],
  ['no path', () => exportMachine(''), 'INVALID_ARGUMENT', /^path/],
  ['a sealed key without a path', () => DeviceKey.generate({} as { path: string }), 'INVALID_ARGUMENT', /^options\.path/],
  [
    'PCRs of a sealed key without a TPM',
    () => DeviceKey.generate({ path: at('x.key'), tpm: 'never', pcrs: [7] }),
    'INVALID_ARGUMENT',
    /^options\.pcrs/,
  ],
  ['a machine file that is no path', () => hardware(1 as unknown as string), 'INVALID_ARGUMENT', /^machineFile/],
  ['a demand without a file', () => hardware(undefined, { atLeast: 3 }), 'INVALID_ARGUMENT', /^demand/],
  [
    'a demand of an unknown factor',
    () => hardware('x', { require: ['colour'] } as unknown as MachineDemand),
    'INVALID_ARGUMENT',
    /^demand\.require\[0\]/,
  ],
  ['a demand of seven factors', () => hardware('x', { atLeast: 7 }), 'INVALID_ARGUMENT', /^demand\.atLeast/],
  ['an option of fingerprint', () => fingerprint({ hashes: true } as object), 'INVALID_ARGUMENT', /^options \(hashes\)/],
  [
    'this machine as recipient',
    () => encrypt(PLAIN, { recipients: [hardware()] }),
    'INVALID_ARGUMENT',
    /^recipients\[0\]: hardware\(\) is this machine; a recipient needs a machine file\. Export one/,
  ],
  ['a machine file that is missing', () => encryptTo('/nowhere/machine.json'), 'NOT_FOUND', /\/nowhere\/machine\.json/],
  [
    'a machine as signer',
    () => encrypt(PLAIN, { recipients: [MasterKey.generate()], signer: hardware() as unknown as SigningKey }),
    'KEY_TYPE_WRONG',
    /^signer: wants/,
  ],
  [
    'a machine as verifier',
    () => decrypt(PLAIN, { identities: [hardware()], verifier: hardware() as unknown as Verifier }),
    'KEY_TYPE_WRONG',
    /^verifier: wants/,
  ],
];

describe('machine binding refuses', () => {
  it.each(refused)('%s', async (_, run, code, message) => {
    const error = await failureOf(run);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe('hardware()', () => {
  it('shows the file and nothing else', () => {
    expect(inspect(hardware('machine.json', { require: ['drive'] }))).toBe('Hardware { machine.json }');
    expect(inspect(hardware())).toBe('Hardware { this machine }');
    expect(JSON.parse(JSON.stringify(hardware('machine.json')))).toEqual({ type: 'hardware', machineFile: 'machine.json' });
  });

  it('reads the file when something is encrypted or opened, not before', async () => {
    const recipient = hardware(at('later.json'), { require: ['drive'] });
    await become(server());
    await exportMachine(at('later.json'), { require: ['drive'] });
    const container = await encrypt(PLAIN, { recipients: [recipient] });
    await become(server());
    using model = await decrypt(container, { identities: [recipient], unsigned: 'accept' });
    expect(Buffer.compare(model.bytes, PLAIN)).toBe(0);
    const nowhere = { identities: [hardware('/nowhere/machine.json')], unsigned: 'accept' } as const;
    expect((await failureOf(() => decrypt(container, nowhere))).code).toBe('NOT_FOUND');
  });

  it('as identity with a file tries the slots of that file alone', async () => {
    await become(server());
    await exportMachine(at('mine.json'));
    await exportMachine(at('unused.json'));
    const container = await encrypt(PLAIN, { recipients: [hardware(at('mine.json'))] });
    const other = { identities: [hardware(at('unused.json'))], unsigned: 'accept' } as const;
    expect((await failureOf(() => decrypt(container, other))).code).toBe('NO_MATCHING_IDENTITY');
    using model = await decrypt(container, { identities: [hardware(at('mine.json'))], unsigned: 'accept' });
    expect(Buffer.compare(model.bytes, PLAIN)).toBe(0);
  });

  it('refuses a file without the TPM or the salts that the publisher demands', async () => {
    await become(server());
    await exportMachine(at('plain.json'));
    const tpm = await failureOf(() => encrypt(PLAIN, { recipients: [hardware(at('plain.json'), { tpm: true })] }));
    expect(tpm.code).toBe('MACHINE_POLICY_WEAK');
    await encrypt(PLAIN, { recipients: [hardware(at('plain.json'), { salts: 'this build' })] });
  });

  it('is one of several recipients, each of which opens alone', async () => {
    const key = MasterKey.generate();
    const [one, other] = [await exportOn(server()), await exportOn(machineTree('laptop-two-gpus'))];
    const container = await encrypt(PLAIN, { recipients: [key, hardware(one), hardware(other)] });
    expect(await openOn(server(), container)).toBe('OK');
    expect(await openOn(machineTree('laptop-two-gpus'), container)).toBe('OK');
    expect(await openOn(machineTree('vm-virtio'), container)).toBe('HARDWARE_MISMATCH');
    using model = await decrypt(container, { identities: [hardware(), key], unsigned: 'accept' });
    expect(Buffer.compare(model.bytes, PLAIN)).toBe(0);
  });

  it('is refused twice in one container', async () => {
    const file = await exportOn(server());
    const error = await failureOf(() => encrypt(PLAIN, { recipients: [hardware(file), hardware(file)] }));
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^recipients\[1\]: was already given/),
    });
  });

  it('rewraps, as identity and as recipient', async () => {
    const key = MasterKey.generate();
    const { small, big } = await split(await encrypt(PLAIN, { recipients: [key] }));
    const bound = await rewrap(small, { identities: [key], recipients: [hardware(await exportOn(server()))] });
    expect(await openOn(server(), Buffer.concat([bound, big]))).toBe('OK');
    const back = await rewrap(bound, { identities: [hardware()], recipients: [key] });
    using model = await decrypt(Uint8Array.from([...back, ...big]), { identities: [key], unsigned: 'accept' });
    expect(Buffer.compare(model.bytes, PLAIN)).toBe(0);
  });

  it('of the other copy of the package is taken too', async () => {
    vi.resetModules();
    const copy = await import('../../src/recipients/hardware.js');
    const machine = copy.hardware('/nowhere/machine.json');
    expect(machine).not.toBeInstanceOf(hardware().constructor);
    expect(resolveIdentities([machine])).toEqual({ identities: [], hardware: false, machineFiles: ['/nowhere/machine.json'] });
    expect((await failureOf(() => resolveRecipients([machine]))).code).toBe('NOT_FOUND');
  });

  it('does not open what is for other recipients', async () => {
    await become(server());
    const container = await encrypt(PLAIN, { recipients: [MasterKey.generate()] });
    expect(await openOn(server(), container)).toBe('NO_MATCHING_IDENTITY');
  });

  it('stops deriving keys when the signal says so', async () => {
    const container = await bindTo(server());
    await become(machineTree('laptop-two-gpus'));
    const stop = new AbortController();
    const opening = decrypt(container, { identities: [hardware()], unsigned: 'accept', signal: stop.signal });
    // The header of a container in memory is read at once, so that by now the addon is at work, which takes several runs of scrypt.
    setImmediate(() => stop.abort('enough'));
    await expect(opening, 'run to its end, it would be HARDWARE_MISMATCH').rejects.toMatchObject({
      code: 'ABORT_ERR',
      cause: 'enough',
    });
  });
});

describe('a machine file', () => {
  it('is never replaced unless told so', async () => {
    await become(server());
    await exportMachine(at('once.json'));
    expect((await failureOf(() => exportMachine(at('once.json')))).code).toBe('ALREADY_EXISTS');
    const terms = await exportMachine(at('once.json'), { overwrite: true, require: ['drive', 'cpu'], atLeast: 2 });
    expect(terms).toEqual({
      factors: expect.arrayContaining([
        { name: 'cpu', weight: 1, required: true },
        { name: 'drive', weight: 1, required: true },
        { name: 'memory', weight: 1, required: false },
      ]),
      atLeast: 2,
      tpm: false,
      saltsId: expect.stringMatching(/^[0-9a-f]{16}$/),
      salts: 'default',
    });
  });

  it('shows its terms in what was made for it', async () => {
    const container = await bindTo(server(), { require: ['drive'], atLeast: 3, weights: { drive: 2 } });
    const { slots } = await inspectContainer(container);
    expect(slots).toEqual([
      {
        type: 'hardware',
        number: 4,
        critical: false,
        keyId: expect.stringMatching(/^[0-9a-f]{16}$/),
        machine: {
          factors: expect.arrayContaining([{ name: 'drive', weight: 2, required: true }]),
          atLeast: 3,
          tpm: false,
          saltsId: expect.any(String),
          salts: 'default',
        },
      },
    ]);
  });
});

describe('a TPM that is there but cannot be used', () => {
  const before = process.env.MODEL_GUARD_TCTI;
  afterEach(() => {
    vi.restoreAllMocks();
    if (before === undefined) delete process.env.MODEL_GUARD_TCTI;
    else process.env.MODEL_GUARD_TCTI = before;
  });
  const warnings = () => {
    const seen: unknown[] = [];
    vi.spyOn(process, 'emitWarning').mockImplementation((_text, options) => {
      seen.push((options as { code?: string }).code);
    });
    return seen;
  };

  it('is warned about with when-usable, which is the default of device keys alone', async () => {
    process.env.MODEL_GUARD_TCTI = 'swtpm:path=/nowhere/tpm';
    await become(server());
    const seen = warnings();
    const { tpm } = await exportMachine(at('no-tpm.json'), { tpm: 'when-usable' });
    expect([tpm, seen]).toEqual([false, ['MODEL_GUARD_TPM_UNUSED']]);
    await exportMachine(at('no-tpm-asked.json'));
    expect(seen).toHaveLength(1);
    const key = await DeviceKey.generate({ path: at('no-tpm.key') });
    expect([key.sealedTo?.tpm, seen.length]).toEqual([false, 2]);
    await DeviceKey.generate({ path: at('no-tpm-never.key'), tpm: 'never' });
    expect(seen).toHaveLength(2);
  });

  it('is an error where it is required, and leaves no file', async () => {
    process.env.MODEL_GUARD_TCTI = 'swtpm:path=/nowhere/tpm';
    await become(server());
    for (const run of [
      () => exportMachine(at('required.json'), { tpm: 'required' }),
      () => DeviceKey.generate({ path: at('required.json'), tpm: 'required' }),
    ])
      expect((await failureOf(run)).code).toBe('TPM_UNAVAILABLE');
    await exportMachine(at('required.json'));
  });
});
