/** Removes from an object storage what no version needs: uploads that were abandoned, and big parts that no small part names. */
import { throwIfAborted } from '../../base/abort.js';
import { hasCode } from '../../errors.js';
import type { ObjectRequest, ObjectStorage, StartedUpload } from './storage.js';

const BIG = /^([0-9a-f]{32}-[0-9]+)(\.tree|\.unused)?$/;

/** The key of the mark of an unreferenced part; the mark's time says since when. */
export const markOf = (key: string): string => `${key}.unused`;

interface Collection extends ObjectRequest {
  /** Before every key of the store: empty, or ends with a slash. */
  readonly prefix: string;
  readonly graceMs: number;
  /** Called after the storage was listed, so that versions committed meanwhile count. Undefined: unknown. */
  readonly referenced: () => Promise<ReadonlySet<string> | undefined>;
}

/** Returns the removed keys, without the prefix. Uploads come first: they need no right to read. */
export async function collectUnused(storage: ObjectStorage, collection: Collection): Promise<readonly string[]> {
  return [...(await collectUploads(storage, collection)), ...(await collectParts(storage, collection))];
}

async function collectUploads(storage: ObjectStorage, { prefix, graceMs, ...request }: Collection): Promise<string[]> {
  const before = Date.now() - graceMs;
  const removed: string[] = [];
  for await (const started of storage.listUploads(`${prefix}big/`, request)) {
    throwIfAborted(request.signal);
    if (started.started > before || !(await isAbandoned(storage, started, before, request))) continue;
    await unlessGone(storage.abortUpload(started.key, started.upload, request));
    removed.push(started.key.slice(prefix.length));
  }
  return removed;
}

/** A long upload may have started long ago: the time of its last piece counts. */
async function isAbandoned(
  storage: ObjectStorage,
  { key, upload }: StartedUpload,
  before: number,
  request: ObjectRequest,
): Promise<boolean> {
  try {
    for await (const { modified } of storage.listPieces(key, upload, request)) if (modified > before) return false;
    return true;
  } catch (error) {
    // Completed or aborted meanwhile.
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

interface StoredPart {
  /** Of the part and its tree. */
  readonly keys: string[];
  /** Of the newest of them; milliseconds since 1970. */
  modified: number;
  /** Time of its mark, if it has one; milliseconds since 1970. */
  unused: number | undefined;
}

/**
 * A part that is found unused is marked first, and removed when the mark is old enough: programs may still read a version that was
 * replaced a moment ago, however old its part is.
 */
async function collectParts(storage: ObjectStorage, { prefix, graceMs, referenced, ...request }: Collection): Promise<string[]> {
  const before = Date.now() - graceMs;
  const parts = new Map<string, StoredPart>();
  for await (const { key, modified } of storage.list(`${prefix}big/`, request)) {
    throwIfAborted(request.signal);
    const [, name, extension] = BIG.exec(key.slice(prefix.length + 'big/'.length)) ?? [];
    if (name === undefined) continue;
    const found = parts.get(name) ?? { keys: [], modified: 0, unused: undefined };
    parts.set(name, found);
    if (extension === '.unused') found.unused = modified;
    else {
      found.keys.push(key);
      found.modified = Math.max(found.modified, modified);
    }
  }
  const used = parts.size > 0 ? await referenced() : undefined;
  const removed: string[] = [];
  if (!used) return removed;
  for (const [name, { keys, modified, unused }] of parts) {
    throwIfAborted(request.signal);
    const mark = markOf(`${prefix}big/${name}`);
    const inUse = used.has(name);
    if (!inUse && unused === undefined && modified <= before && graceMs > 0) await storage.write(mark, new Uint8Array(), request);
    const over = !inUse && modified <= before && (graceMs === 0 || (unused !== undefined && unused <= before));
    // A publication that resumed meanwhile has renewed the mark.
    if (over && unused !== undefined && !(await isOld(storage, mark, before, request))) continue;
    if (over) {
      for (const key of keys) await storage.remove(key, request);
      removed.push(...keys.map((key) => key.slice(prefix.length)));
    }
    if (unused !== undefined && (inUse || over)) await storage.remove(mark, request);
  }
  return removed;
}

async function isOld(storage: ObjectStorage, mark: string, before: number, request: ObjectRequest): Promise<boolean> {
  try {
    return (await storage.head(mark, request)).modified <= before;
  } catch (error) {
    // Another collector was faster.
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

async function unlessGone(task: Promise<void>): Promise<void> {
  await task.catch((error: unknown) => {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  });
}
