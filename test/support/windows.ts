/** Looks for any 8 bytes in a row of secrets in a file, raw or as text. */
import { forms } from './needles.js';

const WINDOW = 8;

/** As {@link forms}, and each of them as UTF-16. */
export function allForms(label: string, secret: Uint8Array): readonly { readonly label: string; readonly bytes: Uint8Array }[] {
  return forms(label, secret).flatMap((form) => [
    form,
    { label: `${form.label}, UTF-16`, bytes: Buffer.from(Buffer.from(form.bytes).toString('latin1'), 'utf16le') },
  ]);
}

/** The forms of `secrets` of which a window stands in `file`. */
export function findWindows(file: Uint8Array, secrets: Readonly<Record<string, Uint8Array>>): readonly string[] {
  const windows = new Map<string, string>();
  for (const [name, secret] of Object.entries(secrets)) {
    for (const { label, bytes } of allForms(name, secret)) {
      const text = Buffer.from(bytes).toString('latin1');
      for (let at = 0; at + WINDOW <= text.length; at += 1) windows.set(text.slice(at, at + WINDOW), label);
    }
  }
  const found = new Set<string>();
  const text = Buffer.from(file).toString('latin1');
  for (let at = 0; at + WINDOW <= text.length; at += 1) {
    const label = windows.get(text.slice(at, at + WINDOW));
    if (label !== undefined) found.add(label);
  }
  return [...found];
}
