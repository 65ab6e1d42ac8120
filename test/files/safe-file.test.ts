/** Whether another user could have written a file that says whom to trust. If these fail, he chooses which keys are pinned. */
import { chmodSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { refuseUnsafeFile } from '../../src/files/safe-file.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('safe-file');
const isRoot = process.geteuid?.() === 0;
let folder: string;
let count = 0;
const at = (name: string): string => path.join(folder, name);
const unsafe = (...parts: string[]) =>
  expect.objectContaining({ code: 'FILE_UNSAFE', message: expect.stringContaining(`${path.join(folder, ...parts)} `) });

beforeEach(() => {
  count += 1;
  folder = path.join(base, String(count));
  mkdirSync(at('a/b'), { recursive: true, mode: 0o755 });
  writeFileSync(at('a/b/file'), 'x', { mode: 0o644 });
});

describe('a file that this user alone may write', () => {
  it('passes, also before it exists, in a folder that does not exist', async () => {
    await refuseUnsafeFile(at('a/b/file'));
    await refuseUnsafeFile(at('a/b/none'));
    await refuseUnsafeFile(at('none/none'));
  });

  it('passes over links to it, also relative ones and those that go up', async () => {
    symlinkSync('../a/b', at('a/link'));
    symlinkSync(at('a/link/../b/file'), at('whole'));
    await refuseUnsafeFile(at('whole'));
    await refuseUnsafeFile(at('a/link/file'));
  });

  it('passes in a folder where all may write and only owners may rename', async () => {
    chmodSync(at('a'), 0o1777);
    await refuseUnsafeFile(at('a/b/file'));
  });
});

describe('a file that another user can change', () => {
  it.each([
    ['by its group', 'a/b/file', 0o664],
    ['by all', 'a/b/file', 0o646],
    ['by the group of its folder', 'a/b', 0o775],
    ['by all, in its folder', 'a/b', 0o757],
    ['by renaming a folder above', 'a', 0o777],
  ])('is refused: %s', async (_, changed, mode) => {
    chmodSync(at(changed), mode);
    await expect(refuseUnsafeFile(at('a/b/file'))).rejects.toEqual(unsafe(changed));
  });

  it('is refused before it exists', async () => {
    chmodSync(at('a/b'), 0o777);
    await expect(refuseUnsafeFile(at('a/b/none'))).rejects.toEqual(unsafe('a/b'));
  });

  // Only root may give files away.
  it.runIf(isRoot).each(['file', 'b', 'link', 'sticky'])(
    'is refused where he owns it, its folder, or the link to it: %s',
    async (what) => {
      const [changed, asked] = {
        file: ['a/b/file', 'a/b/file'],
        b: ['a/b', 'a/b/file'],
        link: ['link', 'link'],
        sticky: ['a/b/file', 'a/b/file'],
      }[what] as [string, string];
      symlinkSync(at('a/b/file'), at('link'));
      if (what === 'sticky') chmodSync(at('a/b'), 0o1777);
      lchownSync(at(changed), 4242, 4242);
      await expect(refuseUnsafeFile(at(asked))).rejects.toEqual(unsafe(changed));
    },
  );

  it('is refused where a link on the way lies in a folder of his', async () => {
    mkdirSync(at('open'));
    symlinkSync(at('a/b'), at('open/link'));
    symlinkSync(at('open/link'), at('link'));
    await refuseUnsafeFile(at('link/file'));
    chmodSync(at('open'), 0o777);
    await expect(refuseUnsafeFile(at('link/file'))).rejects.toEqual(unsafe('open'));
  });

  it('is refused where links go in circles', async () => {
    symlinkSync(at('two'), at('one'));
    symlinkSync(at('one'), at('two'));
    await expect(refuseUnsafeFile(at('one'))).rejects.toMatchObject({ code: 'FILE_UNSAFE' });
  });
});
