/** One of each key, both as bytes for the reference and as the SDK's opaque object, read from the file of the format. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { DeviceKey, MasterKey, type Passphrase, passphrase, SigningKey } from '../../src/index.js';
import { utf8 } from '../reference/bytes.js';
import { keyFile } from '../reference/container.js';
import { publicOf } from '../reference/primitives.js';
import type { LongTermKeys } from '../reference/secrets.js';
import type { Identity, Recipient } from '../reference/slots.js';
import type { Random } from './seed.js';

export interface KeyFiles {
  readonly master: string;
  readonly device: string;
  readonly signing: string;
  readonly passphrase: string;
}

/** Random keys; the passphrase is 40 letters, so that 16-byte windows of it can be looked for. */
export function makeKeys(random: Random): LongTermKeys {
  const letters = Array.from({ length: 40 }, () => random.pick([...'abcdefghijklmnopqrstuvwxyz0123456789']));
  return {
    master: random.bytes(32),
    device: random.bytes(64),
    signing: random.bytes(32),
    passphrase: utf8(letters.join('')),
  };
}

export function writeKeys(folder: string, keys: LongTermKeys, label = 'key'): KeyFiles {
  const write = (name: string, bytes: Uint8Array): string => {
    const file = path.join(folder, `${label}.${name}`);
    writeFileSync(file, bytes, { mode: 0o600, flag: 'wx' });
    return file;
  };
  return {
    master: write('master', keyFile('master', keys.master)),
    device: write('device', keyFile('device', keys.device)),
    signing: write('signing', keyFile('signing', keys.signing)),
    passphrase: write('passphrase', keys.passphrase),
  };
}

export interface Keyring {
  readonly files: KeyFiles;
  readonly raw: LongTermKeys;
  /** For the reference. */
  readonly identities: { readonly master: Identity; readonly device: Identity; readonly passphrase: Identity };
  readonly recipients: { readonly master: Recipient; readonly device: Recipient; readonly passphrase: Recipient };
  readonly publisher: Uint8Array;
  /** For the SDK. */
  readonly master: MasterKey;
  readonly device: DeviceKey;
  readonly signing: SigningKey;
  readonly passphrase: Passphrase;
}

export async function makeKeyring(folder: string, random: Random, label = 'key'): Promise<Keyring> {
  const raw = makeKeys(random);
  const files = writeKeys(folder, raw, label);
  const scalar = raw.device.slice(0, 32);
  return {
    files,
    raw,
    identities: { master: { master: raw.master }, device: { x25519: scalar }, passphrase: { passphrase: raw.passphrase } },
    recipients: {
      master: { master: raw.master },
      device: { x25519: publicOf('x25519', scalar) },
      passphrase: { passphrase: raw.passphrase, logN: 15 },
    },
    publisher: publicOf('ed25519', raw.signing),
    master: await MasterKey.fromFile(files.master),
    device: await DeviceKey.fromFile(files.device),
    signing: await SigningKey.fromFile(files.signing),
    passphrase: await passphrase({ file: files.passphrase }),
  };
}
