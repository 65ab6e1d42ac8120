/**
 * `run` with a large model. If this fails, a program reads other bytes, or the model lies where other programs find it: in a file, in a
 * descriptor of another process, or anywhere after its program has ended or was killed.
 */
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fileStore, MasterKey, protect } from '../../src/index.js';
import { Child } from '../support/children.js';
import { descriptorsWith, findPlaintext } from '../support/plaintext-files.js';
import { print } from '../support/print.js';
import { COMMAND } from '../support/run-lab.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const MIB = 2 ** 20;
const SIZE = scaled(4096, 64) * MIB;
const block = seeded('run').bytes(64);
/** In any 95 bytes of the model in a row. */
const marker = Buffer.from(block.subarray(0, 32));

/** Maps the model and tells the digest of what it sees, as often as it is asked to. */
const PROGRAM = `import hashlib, mmap, os, sys
def digest():
    with open(sys.argv[1], 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as model, memoryview(model) as view:
        state = hashlib.sha256()
        for at in range(0, len(view), 1 << 20): state.update(view[at:at + (1 << 20)])
        return state.hexdigest()
print('ready', os.getpid(), digest(), flush=True)
for line in sys.stdin: print('again', digest(), flush=True)`;

const folder = temporaryFolder('run');
const temporary = path.join(folder, 'temporary');
const store = path.join(folder, 'store');
const key = path.join(folder, 'key');
let sha256: string;

beforeAll(async () => {
  const source = path.join(folder, 'source');
  mkdirSync(source);
  mkdirSync(temporary);
  const piece = Buffer.alloc(MIB, block);
  const hash = createHash('sha256');
  const weights = openSync(path.join(source, 'weights.bin'), 'wx');
  for (let at = 0; at < SIZE; at += MIB) {
    writeSync(weights, piece);
    hash.update(piece);
  }
  closeSync(weights);
  sha256 = hash.digest('hex');
  writeFileSync(path.join(source, 'tokens.json'), piece.subarray(0, 1000));
  const master = MasterKey.generate();
  await master.save(key);
  await protect(source, { name: 'large', version: '1', recipients: [master], to: fileStore(store) });
  rmSync(source, { recursive: true });
});

interface Running {
  readonly child: Child;
  /** The program's process. */
  readonly pid: number;
}
async function start(): Promise<Running> {
  const opening = ['--store', store, '--unsigned', 'accept', '--identity', key];
  const words = ['run', 'large@1', ...opening, '--', 'python3', '-c', PROGRAM, '{model}/weights.bin'];
  const child = new Child([...COMMAND, ...words], { env: { TMPDIR: temporary, XDG_RUNTIME_DIR: '' } });
  const [pid, digest] = (await child.waitFor('ready')).split(' ');
  expect(digest, 'the program reads another model').toBe(sha256);
  return { child, pid: Number(pid) };
}

function expectNowhere(when: string, apart: readonly number[] = []): void {
  const { found, looked } = findPlaintext(marker, [folder], apart);
  print(`run, ${SIZE / MIB} MiB, ${when}: ${looked} files and descriptors looked at, ${found.length} with the model`);
  expect(found, `the model lies there ${when}`).toEqual([]);
}
const links = (): readonly string[] => readdirSync(temporary).filter((name) => name.startsWith('model-guard'));

describe('the model of a program', () => {
  it('is in its descriptors and those of the command alone, and nowhere when the program was killed', async () => {
    const { child, pid } = await start();
    for (const one of [child.pid, pid])
      expect(descriptorsWith(marker, one), `it is not seen in process ${one}: this scan proves nothing`).toHaveLength(2);
    expectNowhere('while the program runs', [child.pid, pid]);
    expect(links()).toHaveLength(1);
    process.kill(pid, 'SIGKILL');
    expect(await child.ended).toMatchObject({ code: 137 });
    expectNowhere('after SIGKILL of the program');
    expect(links()).toEqual([]);
  });
});
