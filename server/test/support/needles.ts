/** Every form in which a text could lie in a file. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * UTF-8, UTF-16 of both orders, hex, and base64 at each of the three offsets, without the characters that depend on neighbours.
 */
export function formsOf(text: string): Map<string, Buffer> {
  const utf8 = Buffer.from(text);
  const forms = new Map([
    ['UTF-8', utf8],
    ['UTF-16LE', Buffer.from(text, 'utf16le')],
    ['UTF-16BE', Buffer.from(text, 'utf16le').swap16()],
    ['hex', Buffer.from(utf8.toString('hex'))],
    ['HEX', Buffer.from(utf8.toString('hex').toUpperCase())],
    ['percent', Buffer.from(encodeURIComponent(text))],
    ['JSON', Buffer.from(JSON.stringify(text).slice(1, -1))],
  ]);
  for (const before of [0, 1, 2])
    for (const encoding of ['base64', 'base64url'] as const) {
      const whole = Buffer.concat([Buffer.alloc(before), utf8])
        .toString(encoding)
        .replaceAll('=', '');
      const [start, end] = [before === 0 ? 0 : before + 1, (utf8.length + before) % 3 === 0 ? 0 : 1];
      forms.set(`${encoding}+${before}`, Buffer.from(whole.slice(start, whole.length - end)));
    }
  return forms;
}

/** Where and how any of `texts` is found; empty if nowhere. */
export function findTexts(places: ReadonlyMap<string, Buffer>, texts: readonly string[]): string[] {
  const found: string[] = [];
  for (const [place, bytes] of places)
    for (const text of texts)
      for (const [form, needle] of formsOf(text)) if (bytes.includes(needle)) found.push(`${text} in ${place} as ${form}`);
  return found;
}

/** Every file in a folder and below. */
export function filesIn(folder: string): Map<string, Buffer> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
  return new Map(files.filter((file) => statSync(file).isFile()).map((file) => [file, readFileSync(file)]));
}
