/** Models and keys for tests of single commands. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { succeed } from './cli.js';
import { seeded } from './seed.js';
import { temporaryFolder } from './temp.js';

export interface CliModels {
  readonly base: string;
  readonly at: (name: string) => string;
  /** The content of `net.onnx` and `net/deep/a`. */
  readonly plain: Uint8Array;
  /** Public texts of `device.key` and `signing.key`. */
  readonly device: string;
  readonly signing: string;
  /** Trusts `signing.key`. */
  readonly signer: readonly string[];
  readonly store: readonly string[];
}

/** A folder with `net.onnx`, the folder `net`, `pass.txt`, `{master,device,signing}.key` and `{device,signing}.pub`. */
export async function makeModels(name: string): Promise<CliModels> {
  const base = temporaryFolder(name);
  const at = (file: string): string => path.join(base, file);
  const plain = seeded('command line').bytes(300_000);
  writeFileSync(at('net.onnx'), plain);
  mkdirSync(at('net/deep'), { recursive: true });
  writeFileSync(at('net/deep/a'), plain);
  writeFileSync(at('net/b'), 'b');
  writeFileSync(at('pass.txt'), 'correct horse\n', { mode: 0o600 });
  await succeed('keygen', '--out', at('master.key'));
  const device = (await succeed('keygen', '--type', 'device', '--out', at('device.key'))).stdout.trim();
  const signing = (await succeed('keygen', '--type', 'signing', '--out', at('signing.key'))).stdout.trim();
  writeFileSync(at('device.pub'), `${device}\n`);
  writeFileSync(at('signing.pub'), `${signing}\n`);
  return { base, at, plain, device, signing, signer: ['--signer', signing], store: ['--store', at('store')] };
}
