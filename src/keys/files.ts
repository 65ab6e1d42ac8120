/** Key files are read and written natively: their bytes never pass through JavaScript (docs/format.md, section 11). */
import { ModelGuardError } from '../errors.js';
import type { KeyHandle, NativeKeyType } from '../native/binding.js';
import { call } from '../native/index.js';
import { controlled } from '../native/work.js';
import { filePath, parse, readKeyOptions } from '../options.js';
import type { ReadKeyOptions } from '../types.js';

/** The code of the warning that a key file is open to others. */
export const KEY_PERMISSIONS_WARNING = 'MODEL_GUARD_KEY_PERMISSIONS';

export function warnIfOpen(path: string, tooOpen: boolean): void {
  if (!tooOpen) return;
  const what = `${path} can be read or written by other users. Run: chmod 600 ${path}, and chown it if it is another user's`;
  process.emitWarning(what, { type: 'ModelGuardWarning', code: KEY_PERMISSIONS_WARNING });
}

/** A key may come through a pipe: then its writer is waited for, until the signal aborts. */
export async function readKeyFile(file: string, options?: ReadKeyOptions): Promise<{ key: KeyHandle; type: NativeKeyType }> {
  const path = parse(filePath, file, 'path');
  const { signal } = parse(readKeyOptions, options) ?? {};
  const { key, tooOpen } = await controlled(signal, (control) => call((native) => native.readKeyFile(path, control)));
  warnIfOpen(path, tooOpen);
  return { key, type: call((native) => native.keyType(key)) };
}

export async function readKeyFileOf(wanted: NativeKeyType, path: string, options?: ReadKeyOptions): Promise<KeyHandle> {
  const { key, type } = await readKeyFile(path, options);
  if (type !== wanted) throw new ModelGuardError('KEY_TYPE_WRONG', `${path} holds a ${type} key, not a ${wanted} key`);
  return key;
}
