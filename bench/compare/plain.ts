/** Reading the plain file, and copying it: what protection is compared with. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, open, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Measured, type Place, type Subject, timed } from './subject.js';

const PREAD = fileURLToPath(new URL('pread.c', import.meta.url));
/** Above this, Node's readFile refuses. */
const READ_FILE_MAX = 2 ** 31 - 1;
const tooLarge = (bytes: number) => (bytes > READ_FILE_MAX ? 'Node reads at most 2 GiB at once' : undefined);

const PIECE = 2 ** 20;

const compiler = (): string | undefined => ['/usr/bin/cc', '/usr/bin/gcc'].find(existsSync);

/** `fs.readFile`, which loading is compared with. */
export const readFileSubject: Subject = {
  name: 'fs.readFile, plain',
  kind: 'load',
  missing: tooLarge,
  start: async ({ plain }) => timed(() => readFile(plain)),
};

const readFileSyncSubject: Subject = {
  name: 'fs.readFileSync, plain',
  kind: 'load',
  missing: tooLarge,
  start: async ({ plain }) => timed(async () => readFileSync(plain)),
};

/** The limit: no engine that reads a file can be faster. */
const preadSubject: Subject = {
  name: 'parallel pread into huge pages, plain',
  kind: 'load',
  missing: () => (compiler() === undefined ? 'no C compiler' : undefined),
  async prepare({ folder }) {
    const cc = compiler();
    if (cc !== undefined) execFileSync(cc, ['-O2', '-pthread', '-o', path.join(folder, 'pread'), PREAD]);
  },
  start: async ({ folder, plain }) => {
    return async () => {
      const words = [plain, String(availableParallelism())];
      return JSON.parse(execFileSync(path.join(folder, 'pread'), words, { encoding: 'utf8' })) as Measured;
    };
  },
};

const copyOf = ({ folder }: Place) => path.join(folder, 'copy.bin');

/** `cp` and `sync` of the file, which protecting is compared with. */
export const copySubject: Subject = {
  name: 'cp and sync, plain',
  kind: 'protect',
  start: async (place) => {
    rmSync(copyOf(place), { force: true });
    return timed(async () => {
      await copyFile(place.plain, copyOf(place));
      const file = await open(copyOf(place), 'r+');
      await file.sync();
      await file.close();
    });
  },
};

/** `fs.readFile` of a small file. */
export const smallReadFile: Subject = {
  ...readFileSubject,
  kind: 'latency',
  start: async ({ plain }) => {
    await readFile(plain);
    return timed(() => readFile(plain));
  },
};

/** 1 MiB from the middle of the file. */
export const pieceRead: Subject = {
  name: 'open and read 1 MiB, plain',
  kind: 'piece',
  start: async ({ plain, bytes }) =>
    timed(async () => {
      const file = await open(plain);
      await file.read(new Uint8Array(PIECE), 0, PIECE, Math.floor((bytes - PIECE) / 2));
      await file.close();
    }),
};

export const plainSubjects: readonly Subject[] = [
  readFileSubject,
  readFileSyncSubject,
  preadSubject,
  pieceRead,
  copySubject,
  smallReadFile,
];
