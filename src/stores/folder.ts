/** Walks the folder of a file store: published versions, and parts that no version needs. */
import type { Dir } from 'node:fs';
import { lstat, opendir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type AbortSignalLike, throwIfAborted } from '../base/abort.js';
import { isName } from '../base/names.js';
import { hasCode } from '../errors.js';
import { isTemporary, withFileErrors } from '../files/files.js';
import type { ModelRef } from './store.js';

const BIG = /^([0-9a-f]{32}-[0-9]+)(\.tree)?$/;

/** Entries of a folder; none if it does not exist. */
async function* entries(folder: string, signal: AbortSignalLike | undefined): AsyncGenerator<{ name: string; folder: boolean }> {
  let opened: Dir;
  try {
    opened = await withFileErrors('Cannot list', folder, () => opendir(folder));
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return;
    throw error;
  }
  for await (const entry of opened) {
    throwIfAborted(signal);
    yield { name: entry.name, folder: entry.isDirectory() };
  }
}

export async function* listFolder(root: string, signal: AbortSignalLike | undefined): AsyncGenerator<ModelRef, void, undefined> {
  const small = join(root, 'small');
  for await (const model of entries(small, signal)) {
    if (!model.folder || !isName(model.name)) continue;
    for await (const version of entries(join(small, model.name), signal))
      if (!version.folder && isName(version.name)) yield { name: model.name, version: version.name };
  }
}

interface Collection {
  readonly graceMs: number;
  readonly signal: AbortSignalLike | undefined;
  /** Called after the folder was read, so that versions committed meanwhile count. Undefined: unknown. */
  readonly referenced: () => Promise<ReadonlySet<string> | undefined>;
}

export async function collectFolder(root: string, { graceMs, signal, referenced }: Collection): Promise<readonly string[]> {
  const before = Date.now() - graceMs;
  const temporaries: string[] = [];
  const parts: { name: string; path: string }[] = [];
  const big = join(root, 'big');
  for await (const entry of entries(big, signal)) {
    const path = join(big, entry.name);
    if (isTemporary(entry.name)) temporaries.push(path);
    const name = BIG.exec(entry.name)?.[1];
    if (name) parts.push({ name, path });
  }
  const small = join(root, 'small');
  for await (const model of entries(small, signal))
    if (model.folder)
      for await (const entry of entries(join(small, model.name), signal))
        if (isTemporary(entry.name)) temporaries.push(join(small, model.name, entry.name));

  const used = parts.length > 0 ? await referenced() : undefined;
  const unused = used ? parts.filter(({ name }) => !used.has(name)).map(({ path }) => path) : [];
  const removed: string[] = [];
  for (const path of [...temporaries, ...unused]) {
    throwIfAborted(signal);
    if (await removeOlder(path, before)) removed.push(path.slice(root.length + 1));
  }
  return removed;
}

async function removeOlder(path: string, before: number): Promise<boolean> {
  try {
    return await withFileErrors('Cannot remove', path, async () => {
      const stat = await lstat(path);
      if (!stat.isFile() || stat.mtimeMs > before) return false;
      await unlink(path);
      return true;
    });
  } catch (error) {
    // Another collector was faster.
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
