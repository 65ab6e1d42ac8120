/** Keeps room on the disk for the database: everything else needs its commits. */
import { statfs } from 'node:fs/promises';
import { ModelGuardError } from '@org/model-guard/server-kit';

/** Bytes that uploads leave free. */
const RESERVED = 256 * 1024 * 1024;

/** Bytes that the disk of a folder has left for this user. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Room that an upload was promised. */
export interface Room {
  /** So many more of its bytes are on the disk. */
  written(bytes: number): void;
  /** The upload has ended, well or not. */
  end(): void;
}

/** Counts what was announced and is not written yet, so that uploads together leave the reserve free. */
export class DiskReserve {
  readonly #free: () => Promise<number>;
  #announced = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param free bytes that the disk has left */
  constructor(free: () => Promise<number>) {
    this.#free = free;
  }

  /**
   * Promises room for an upload, one decision at a time.
   * @throws LIMIT_EXCEEDED
   */
  admit(bytes: number): Promise<Room> {
    const admitted = this.#turn.then(async () => {
      // Read before the disk is: bytes that are written meanwhile count twice then, never not at all.
      const announced = this.#announced;
      if ((await this.#free()) - announced - bytes < RESERVED) throw noRoom();
      this.#announced += bytes;
      return this.#room(bytes);
    });
    this.#turn = admitted.catch(() => undefined);
    return admitted;
  }

  /**
   * Fails where the disk was filled meanwhile.
   * @throws LIMIT_EXCEEDED
   */
  async check(): Promise<void> {
    if ((await this.#free()) < RESERVED) throw noRoom();
  }

  #room(bytes: number): Room {
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
