/** Reserves disk space for the database, whose commits everything else needs. */
import { statfs } from 'node:fs/promises';
import { ModelGuardError } from '@org/model-guard/server-kit';

/** Bytes that uploads leave free. */
const RESERVED = 256 * 1024 * 1024;

/** Bytes that this user may still write to the disk of a folder. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The reserved space of an upload. */
export interface Reservation {
  /** Tells that so many more of its bytes are on the disk. */
  written(bytes: number): void;
  /** Tells that the upload has ended, by success or failure. */
  end(): void;
}

/** Counts announced bytes that are not written yet, so that all uploads together leave the reserve free. */
export class DiskReserve {
  readonly #free: () => Promise<number>;
  #announced = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param free bytes that the disk has left */
  constructor(free: () => Promise<number>) {
    this.#free = free;
  }

  /**
   * Reserves space for an upload, one decision at a time.
   * @throws LIMIT_EXCEEDED
   */
  admit(bytes: number): Promise<Reservation> {
    const admitted = this.#turn.then(async () => {
      // Read before the disk is: bytes that are written meanwhile count twice rather than not at all.
      const announced = this.#announced;
      if ((await this.#free()) - announced - bytes < RESERVED) throw noRoom();
      this.#announced += bytes;
      return this.#room(bytes);
    });
    this.#turn = admitted.catch(() => undefined);
    return admitted;
  }

  /** @throws LIMIT_EXCEEDED where the disk was filled meanwhile */
  async check(): Promise<void> {
    if ((await this.#free()) < RESERVED) throw noRoom();
  }

  #room(bytes: number): Reservation {
    let left = bytes;
    const release = (most: number): void => {
      const released = Math.min(most, left);
      left -= released;
      this.#announced -= released;
    };
    return { written: release, end: () => release(left) };
  }
}

const noRoom = (): ModelGuardError =>
  new ModelGuardError('LIMIT_EXCEEDED', 'The disk of this server has no room for the part', {
    advice: 'Have its administrator make room.',
  });
