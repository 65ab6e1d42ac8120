/** Key files are read and written natively: their bytes never pass through JavaScript (docs/format.md, section 11). */
import { z } from 'zod';
import type { AbortSignalLike } from '../base/abort.js';
import { filePath, parse, signal } from '../base/validate.js';
import { hasCode, ModelGuardError } from '../errors.js';
import { WRONG_FILE } from '../files/files.js';
import type { KeyHandle, NativeBinding, NativeControl, NativeKeyType } from '../native/binding.js';
import { call } from '../native/index.js';
import { controlled } from '../native/work.js';

export const readKeyOptions = z.strictObject({ signal: signal.optional() }).optional();

/** How a key or passphrase is read. */
export interface ReadKeyOptions {
  /** Ends the wait for the writer of a pipe; the promise then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/** The code of the warning that a key file is open to others. */
export const KEY_PERMISSIONS_WARNING = 'MODEL_GUARD_KEY_PERMISSIONS';

export function warnIfOpen(path: string, tooOpen: boolean): void {
  if (!tooOpen) return;
  const what = `${path} can be read or written by other users. Run: chmod 600 ${path}, and chown it if it is another user's`;
  process.emitWarning(what, { type: 'ModelGuardWarning', code: KEY_PERMISSIONS_WARNING });
}

/** Has the addon read a file with a secret, and warns where others can. LIMIT_EXCEEDED says that the file is another one. */
export async function readSecretFile(
  path: string,
  kind: string,
  signal: AbortSignalLike | undefined,
  read: (native: NativeBinding, control: NativeControl) => Promise<{ readonly key: KeyHandle; readonly tooOpen: boolean }>,
): Promise<KeyHandle> {
  try {
    const { key, tooOpen } = await controlled(signal, (control) => call((native) => read(native, control)));
    warnIfOpen(path, tooOpen);
    return key;
  } catch (cause) {
    if (!hasCode(cause, 'LIMIT_EXCEEDED')) throw cause;
    throw new ModelGuardError('LIMIT_EXCEEDED', `${path} is no ${kind}: it is too large`, { cause, advice: WRONG_FILE });
  }
}

/** A key may come through a pipe: then its writer is waited for, until the signal aborts. */
export async function readKeyFile(file: string, options?: ReadKeyOptions): Promise<{ key: KeyHandle; type: NativeKeyType }> {
  const path = parse(filePath, file, 'path');
  const { signal } = parse(readKeyOptions, options) ?? {};
  const key = await readSecretFile(path, 'key file', signal, (native, control) => native.readKeyFile(path, control));
  return { key, type: call((native) => native.keyType(key)) };
}

export async function readKeyFileOf(wanted: NativeKeyType, path: string, options?: ReadKeyOptions): Promise<KeyHandle> {
  const { key, type } = await readKeyFile(path, options);
  if (type !== wanted) throw new ModelGuardError('KEY_TYPE_WRONG', `${path} holds a ${type} key, not a ${wanted} key`);
  return key;
}
