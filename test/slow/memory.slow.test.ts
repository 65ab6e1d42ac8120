/** Keys live in secret pages and nowhere else, plaintext in its regions and nowhere else, and neither in a core dump. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat } from '../reference/bytes.js';
import { parseHeader } from '../reference/header.js';
import { containerSecrets, type LongTermKeys, longTermSecrets } from '../reference/secrets.js';
import { type Child, startChild } from '../support/children.js';
import { type KeyFiles, makeKeys, writeKeys } from '../support/keyring.js';
import { Needles, WINDOW } from '../support/needles.js';
import { print } from '../support/print.js';
import { isPlaintextRegion, isSecretPage, type Mapping, mappings, readMapping, readWhole } from '../support/process-memory.js';
import { seeded } from '../support/seed.js';
import { skipTest } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const MARKER = 32;
const SIZES = { 'net.onnx': 5_000_000, 'weights/part-0.bin': 2_097_152, 'tokens.json': 40_000, tiny: 64 } as const;
const folder = temporaryFolder('memory');
const random = seeded('memory');
const source = path.join(folder, 'model');
const markers = new Needles();
let keys: LongTermKeys;
let files: KeyFiles;

beforeAll(() => {
  keys = makeKeys(random);
  files = writeKeys(folder, keys);
  for (const [name, size] of Object.entries(SIZES)) {
    // Random everywhere, so that any 16 bytes of it are as good as a marker; looked for are 32 in every 64 KiB.
    const bytes = random.bytes(size);
    for (let at = 0; at + MARKER <= size; at += 65_536) markers.addRaw(name, bytes.slice(at, at + MARKER));
    markers.addRaw(name, bytes.slice(size - MARKER));
    mkdirSync(path.dirname(path.join(source, name)), { recursive: true });
    writeFileSync(path.join(source, name), bytes);
  }
});

let children = 0;
interface Guarded {
  readonly child: Child;
  readonly store: string;
  readonly cwd: string;
  step(word: string): Promise<void>;
}

function start(prefix: readonly string[] = []): Guarded {
  children += 1;
  const cwd = path.join(folder, `child-${children}`);
  const store = path.join(cwd, 'store');
  mkdirSync(cwd);
  const args = [source, store, files.master, files.device, files.signing, files.passphrase];
  const child = startChild('guarded.ts', { args, prefix, cwd });
  return {
    child,
    store,
    cwd,
    step: async (word) => {
      child.say(word);
      await child.waitFor(word);
    },
  };
}

/** Every secret of the one container in a store, derived by the reference from the key files. */
function secretsOf(store: string): ReadonlyMap<string, Uint8Array> {
  const small = Uint8Array.from(readFileSync(path.join(store, 'small/guarded/1')));
  const { facts, length } = parseHeader(small);
  const big = Uint8Array.from(readFileSync(path.join(store, 'big', `${facts.payloadId}-${small.length - length}`)));
  return containerSecrets(concat(small, big), keys);
}

const needlesFor = (secrets: ReadonlyMap<string, Uint8Array>): Needles =>
  [...secrets].reduce((needles, [label, secret]) => needles.addSecret(label, secret), new Needles());

interface Finding {
  readonly what: string;
  readonly mapping: Mapping;
  readonly count: number;
}

/** What of `needles` lies where in a process's writable memory. */
function scan(
  pid: number,
  needles: Needles,
  where: (mapping: Mapping) => boolean,
): { readonly found: readonly Finding[]; readonly bytes: number } {
  const found = new Map<string, Finding>();
  let bytes = 0;
  for (const mapping of mappings(pid).filter((one) => one.writable && where(one))) {
    readMapping(pid, mapping, WINDOW - 1, (piece) => {
      bytes += piece.length;
      needles.scan(piece, (what) => {
        const key = `${what} ${mapping.start}`;
        found.set(key, { what, mapping, count: (found.get(key)?.count ?? 0) + 1 });
      });
    });
  }
  return { found: [...found.values()], bytes };
}

const describeFinding = ({ what, mapping, count }: Finding): string =>
  `${what}: ${count} windows in ${mapping.start.toString(16)}-${mapping.end.toString(16)} ${mapping.name || 'anonymous'} [${mapping.flags.join(' ')}]`;

function expectClean(pid: number, secrets: ReadonlyMap<string, Uint8Array>, when: string): void {
  const needles = needlesFor(secrets);
  const { found, bytes } = scan(pid, needles, (mapping) => !isSecretPage(mapping));
  print(
    `memory, ${when}: ${needles.count} windows of ${secrets.size} secrets looked for in ${(bytes / 2 ** 20).toFixed(0)} MiB, ${found.length} found`,
  );
  expect(found.map(describeFinding), `key material outside secret pages ${when}`).toEqual([]);
}

describe('the memory of a process that protects and loads', () => {
  it('holds keys in secret pages only, and plaintext in its regions only, and neither after dispose()', async () => {
    const { child, store, step } = start();
    await child.waitFor('ready');
    expectClean(child.pid, longTermSecrets(keys), 'after reading the key files');
    const inPages = scan(child.pid, needlesFor(longTermSecrets(keys)), isSecretPage).found.map(({ what }) => what);
    expect(inPages, 'no secret page holds the keys: the scan or the mapping flags do not work').toContain('master key, raw');

    await step('protect');
    const secrets = secretsOf(store);
    expectClean(child.pid, secrets, 'after protect()');
    await step('load');
    expectClean(child.pid, secrets, 'with models loaded');
    const plain = scan(child.pid, markers, () => true).found;
    const outside = plain.filter(({ mapping }) => !isPlaintextRegion(mapping));
    expect(outside.map(describeFinding), 'plaintext outside its regions').toEqual([]);
    for (const name of Object.keys(SIZES)) {
      expect(
        plain.filter(({ what }) => what === name).length,
        `${name} is not seen in memory, so this scan proves nothing`,
      ).toBeGreaterThan(0);
    }

    await step('dispose');
    expectClean(child.pid, secrets, 'after dispose()');
    const left = scan(child.pid, markers, () => true);
    print(
      `memory, after dispose(): ${markers.count} windows of plaintext looked for in ${(left.bytes / 2 ** 20).toFixed(0)} MiB, ${left.found.length} found`,
    );
    expect(left.found.map(describeFinding), 'plaintext after dispose()').toEqual([]);
    child.say('end');
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
  });

  it('would show a leaked key: as bytes, as hex and as base64', async () => {
    const { child, step } = start();
    await child.waitFor('ready');
    await step('leak');
    const { found } = scan(child.pid, needlesFor(longTermSecrets(keys)), (mapping) => !isSecretPage(mapping));
    const labels = found.map(({ what }) => what);
    print(`memory, planted leak: ${[...new Set(labels)].sort().join('; ')}`);
    for (const form of ['raw', 'hex', 'base64url']) {
      expect(labels, `a planted leak in ${form} is not found`).toContain(`master key, ${form}`);
    }
    child.say('end');
    await child.ended;
  });

  it('a core dump taken while models are loaded holds neither keys nor plaintext', async (context) => {
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
    const direct = !pattern.startsWith('|') && !pattern.includes('/') && canDump();
    if (!direct && !hasGcore()) skipTest(context, `core dumps go to "${pattern}" and gdb is absent`);
    const { child, store, cwd, step } = start(['bash', '-c', 'ulimit -c unlimited; exec "$0" "$@"']);
    await child.waitFor('ready');
    await step('protect');
    await step('load');
    const secrets = secretsOf(store);
    if (direct) {
      child.say('abort');
      expect((await child.ended).signal, 'the child did not dump').toBe('SIGABRT');
    } else {
      execFileSync('gcore', ['-o', path.join(cwd, 'core'), String(child.pid)], { stdio: 'ignore' });
      await child.kill();
    }
    const core = readdirSync(cwd).find((name) => name.startsWith('core'));
    expect(core, `no core file in ${readdirSync(cwd).join(', ')}`).toBeDefined();
    const dumped = search(path.join(cwd, core ?? ''), secrets);
    print(
      `core dump (${direct ? 'kernel' : 'gcore'}): ${(dumped.bytes / 2 ** 20).toFixed(0)} MiB, found: ${dumped.found.join('; ') || 'nothing'}`,
    );
    // Its own arguments must be in it, or it was no dump of this process.
    expect(dumped.control, 'the dump does not hold what must be in it').toBe(true);
    expect(dumped.found, 'a core dump holds secrets').toEqual([]);
  });
});

function search(
  core: string,
  secrets: ReadonlyMap<string, Uint8Array>,
): { readonly bytes: number; readonly found: readonly string[]; readonly control: boolean } {
  const needles = needlesFor(secrets);
  const control = new Needles().addRaw('argument', Buffer.from(files.master));
  const found = new Set<string>();
  let bytes = 0;
  let seen = false;
  readWhole(core, WINDOW - 1, (piece) => {
    bytes += piece.length;
    needles.scan(piece, (what) => found.add(what));
    markers.scan(piece, (what) => found.add(`plaintext of ${what}`));
    control.scan(piece, () => {
      seen = true;
    });
  });
  return { bytes, found: [...found].sort(), control: seen };
}

function canDump(): boolean {
  try {
    execFileSync('bash', ['-c', 'ulimit -c unlimited'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const hasGcore = (): boolean => (process.env.PATH ?? '').split(':').some((one) => existsSync(path.join(one, 'gcore')));
