/** Section 4: the plaintext message. A list of files, then the files. */
import { concat, must, refuse, same, u32, utf8 } from './bytes.js';
import { exactly, integer, member, parseJson, text, writeJson } from './json.js';
import { CHUNK } from './payload.js';
import { canonicalFold, nfc } from './unicode.js';

export type Files = ReadonlyMap<string, Uint8Array>;
interface Entry {
  readonly path: string;
  readonly size: number;
  readonly offset: number;
}

const MAX_MANIFEST = 16_777_216;
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])$/i;
const up = (size: number): number => Math.ceil(size / CHUNK) * CHUNK;

function checkSegment(segment: string): void {
  const length = utf8(segment).length;
  must(length >= 1 && length <= 255, 'a segment has 1 to 255 bytes');
  must(!/[. ]$/.test(segment), 'a segment ends in a dot or a space');
  const stem = (segment.split('.')[0] ?? '').replace(/ +$/, '');
  must(!RESERVED.test(stem), `Windows reserves ${stem}`);
}

export function checkPath(path: string): void {
  const length = utf8(path).length;
  must(length >= 1 && length <= 1024, 'a path has 1 to 1,024 bytes');
  must(!/\p{Surrogate}/u.test(path), 'half of a surrogate pair');
  must(nfc(path) === path, 'a path is not in normalisation form C');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the format refuses
  must(!/[\u0000-\u001f\u007f-\u009f\\:]/.test(path), 'a path holds a forbidden character');
  for (const segment of path.split('/')) checkSegment(segment);
}

const byBytes = (a: { readonly path: string }, b: { readonly path: string }): number =>
  Buffer.compare(utf8(a.path), utf8(b.path));

/** The rules of one path, and those between paths. */
export function checkPaths(paths: readonly string[]): void {
  must(paths.length >= 1 && paths.length <= 10_000, '1 to 10,000 files');
  for (const path of paths) checkPath(path);
  const folded = new Set(paths.map(canonicalFold));
  must(folded.size === paths.length, 'two paths are equal');
  for (const path of folded) {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      must(!folded.has(path.slice(0, slash)), 'a file is the folder of another');
    }
  }
}

export function packMessage(files: Files): Uint8Array {
  checkPaths([...files.keys()]);
  const sorted = [...files].map(([path, bytes]) => ({ path, bytes })).sort(byBytes);
  const entries: Entry[] = [];
  const area: Uint8Array[] = [];
  let end = 0;
  for (const { path, bytes } of sorted) {
    const offset = up(end);
    area.push(new Uint8Array(offset - end), bytes);
    entries.push({ path, size: bytes.length, offset });
    end = offset + bytes.length;
  }
  return rawMessage(writeManifest(entries), concat(...area));
}

export const writeManifest = (entries: readonly Entry[]): Uint8Array =>
  writeJson({ files: entries.map(({ offset, path, size }) => ({ offset, path, size })) });

/** A message of any manifest bytes and any file area, right or wrong. */
export function rawMessage(manifest: Uint8Array, area: Uint8Array): Uint8Array {
  const head = concat(u32(manifest.length), manifest);
  return concat(head, new Uint8Array(up(head.length) - head.length), area);
}

function parseEntries(manifest: Uint8Array): readonly Entry[] {
  const list = member(exactly(parseJson(manifest), ['files']), 'files');
  must(Array.isArray(list), 'files is no list');
  return list.map((item): Entry => {
    const entry = exactly(item, ['offset', 'path', 'size']);
    return { path: text(entry, 'path'), size: integer(entry, 'size'), offset: integer(entry, 'offset') };
  });
}

export function unpackMessage(message: Uint8Array): Files {
  if (message.length < CHUNK) return refuse('a message has at least 16,384 bytes');
  const length = new DataView(message.buffer, message.byteOffset).getUint32(0);
  must(length <= MAX_MANIFEST && 4 + length <= message.length, 'an impossible manifest length');
  const entries = parseEntries(message.slice(4, 4 + length));
  checkPaths(entries.map((entry) => entry.path));
  must(
    same(
      utf8(entries.map((e) => e.path).join('\n')),
      utf8(
        [...entries]
          .sort(byBytes)
          .map((e) => e.path)
          .join('\n'),
      ),
    ),
    'files are not in byte order',
  );

  const start = up(4 + length);
  must(start <= message.length, 'the message ends inside its manifest padding');
  let end = 0;
  let padded = 4 + length;
  const files = new Map<string, Uint8Array>();
  for (const entry of entries) {
    must(entry.offset === up(end), `${entry.path} is not where it must be`);
    end = entry.offset + entry.size;
    must(start + end <= message.length, `${entry.path} goes on past the message`);
    must(
      message.subarray(padded, start + entry.offset).every((byte) => byte === 0),
      'padding is not zero',
    );
    padded = start + end;
    files.set(entry.path, message.slice(start + entry.offset, start + end));
  }
  must(start + end === message.length, 'the message does not end with its last file');
  return files;
}
