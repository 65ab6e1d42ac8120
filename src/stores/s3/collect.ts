/** Tidying a bucket: uploads that nobody finished, and big parts that no small part names any more. */
import { throwIfAborted } from '../../abort.js';
import { hasCode } from '../../errors.js';
import type { About, Begun, Bucket } from './bucket.js';

const BIG = /^([0-9a-f]{32}-[0-9]+)(\.tree|\.unused)?$/;

/** Of a part that nobody names, with the time since when. */
export const markOf = (key: string): string => `${key}.unused`;

interface Collection extends About {
  /** Of the store in the bucket: empty, or ends with a slash. */
  readonly prefix: string;
  readonly graceMs: number;
  /** Asked only after the bucket was read, so that what is committed meanwhile is seen. Undefined: nobody can tell. */
  readonly referenced: () => Promise<ReadonlySet<string> | undefined>;
}

/** Returns the keys that are gone, within the store. Uploads come first: they need no right to read. */
export async function collectBucket(bucket: Bucket, collection: Collection): Promise<readonly string[]> {
  return [...(await collectUploads(bucket, collection)), ...(await collectParts(bucket, collection))];
}

async function collectUploads(bucket: Bucket, { prefix, graceMs, ...about }: Collection): Promise<string[]> {
  const before = Date.now() - graceMs;
  const removed: string[] = [];
  for await (const begun of bucket.uploads(`${prefix}big/`, about)) {
    throwIfAborted(about.signal);
    if (begun.begun > before || !(await isAbandoned(bucket, begun, before, about))) continue;
    await unlessGone(bucket.abort(begun.key, begun.upload, about));
    removed.push(begun.key.slice(prefix.length));
  }
  return removed;
}

/** A long upload may have begun long ago: what counts is the last piece. */
async function isAbandoned(bucket: Bucket, { key, upload }: Begun, before: number, about: About): Promise<boolean> {
  try {
    for await (const { modified } of bucket.sent(key, upload, about)) if (modified > before) return false;
    return true;
  } catch (error) {
    // Completed or aborted meanwhile.
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

interface Found {
  readonly keys: string[];
  /** Of the newest of them. */
  modified: number;
  /** Since when nobody names it, as far as it was noted. */
  unused: number | undefined;
}

/**
 * A part that is found unused is marked first, and removed when the mark is old enough: readers of a version that was just replaced
 * may still be at it, however old their part is.
 */
async function collectParts(bucket: Bucket, { prefix, graceMs, referenced, ...about }: Collection): Promise<string[]> {
  const before = Date.now() - graceMs;
  const parts = new Map<string, Found>();
  for await (const { key, modified } of bucket.list(`${prefix}big/`, about)) {
    throwIfAborted(about.signal);
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
    throwIfAborted(about.signal);
    const mark = markOf(`${prefix}big/${name}`);
    const inUse = used.has(name);
    if (!inUse && unused === undefined && modified <= before && graceMs > 0) await bucket.write(mark, new Uint8Array(), about);
    const over = !inUse && modified <= before && (graceMs === 0 || (unused !== undefined && unused <= before));
    // A publication that was taken up again meanwhile has renewed it.
    if (over && unused !== undefined && !(await isOld(bucket, mark, before, about))) continue;
    if (over) {
      for (const key of keys) await bucket.remove(key, about);
      removed.push(...keys.map((key) => key.slice(prefix.length)));
    }
    if (unused !== undefined && (inUse || over)) await bucket.remove(mark, about);
  }
  return removed;
}

async function isOld(bucket: Bucket, mark: string, before: number, about: About): Promise<boolean> {
  try {
    return (await bucket.facts(mark, about)).modified <= before;
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
