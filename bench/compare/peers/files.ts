/** The files of a peer: what it sealed, and the key beside it. Only the time matters. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Measured, Place } from '../subject.js';

export const MIB = 2 ** 20;

export const sealed = ({ folder }: Place, peer: string): string => path.join(folder, `${peer}.sealed`);
export const keyFile = ({ folder }: Place, peer: string): string => path.join(folder, `${peer}.secret`);
export const keyOf = (place: Place, peer: string): Buffer => readFileSync(keyFile(place, peer));

export function newKey(place: Place, peer: string): Buffer {
  const made = randomBytes(32);
  writeFileSync(keyFile(place, peer), made, { mode: 0o600 });
  return made;
}

/** `fsync`, as our protect does it. */
export async function sync(file: string): Promise<void> {
  const opened = await open(file, 'r+');
  await opened.sync();
  await opened.close();
}

/** Times the work of another program, whose memory is unknown. */
export const external =
  (work: () => unknown): (() => Promise<Measured>) =>
  async () => {
    const started = performance.now();
    await work();
    return { seconds: (performance.now() - started) / 1000 };
  };
