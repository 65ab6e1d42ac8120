/** Checks that the cache leaves room on its disk. */
import { statfs } from 'node:fs/promises';
import { withFileErrors } from '../files/files.js';

const GIB = 1024 ** 3;
const SHARE = 0.05;

/** Bytes of a file system that are free for this user, and its size. */
export interface Disk {
  readonly free: number;
  readonly total: number;
}

export const diskOf = (folder: string): Promise<Disk> =>
  withFileErrors('Cannot look up the disk of', folder, async () => {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { free: bavail * bsize, total: blocks * bsize };
  });

/** Whether 1 GiB and 5 % of the disk stay free after `bytes` more. */
export const leavesRoom = ({ free, total }: Disk, bytes: number): boolean => free - bytes >= Math.max(GIB, SHARE * total);
