/**
 * The addon as TypeScript sees it: opaque handles, plain data, promises. Nothing outside `src/native` calls it.
 * Each room of it is a file of `binding/`; callers import all types from here.
 *
 * Every failure, thrown or rejected, is a {@link NativeFailure} value; `call()` in `./index.ts` turns it into a
 * ModelGuardError whose stack starts at the caller.
 */
import type { ContainerBinding } from './binding/container.js';
import type { FileBinding } from './binding/files.js';
import type { HardwareBinding } from './binding/hardware.js';
import type { KeyBinding } from './binding/keys.js';
import type { LegacyBinding } from './binding/legacy.js';
import type { ProcessBinding } from './binding/process.js';
import type { RemoteBinding } from './binding/remote.js';
import type { NativeControl } from './binding/work.js';

export type * from './binding/container.js';
export type * from './binding/files.js';
export type * from './binding/hardware.js';
export type * from './binding/keys.js';
export type * from './binding/legacy.js';
export type * from './binding/model.js';
export type * from './binding/process.js';
export type * from './binding/remote.js';
export type * from './binding/source.js';
export type * from './binding/work.js';

/** A failure as it crosses the boundary. `code` is one of {@link NativeBinding.codes}. */
export interface NativeFailure {
  readonly code: string;
  /** One sentence about this occurrence; never secret. */
  readonly what: string;
  /** errno, where the system was the cause. */
  readonly errno?: number;
}

export interface NativeBinding
  extends KeyBinding,
    HardwareBinding,
    LegacyBinding,
    FileBinding,
    ProcessBinding,
    ContainerBinding,
    RemoteBinding {
  /** The native table of codes, without OK. */
  readonly codes: readonly string[];
  /** `own`: a copy inside the addon's file, and not the one of the program. */
  readonly openssl: { readonly version: string; readonly own: boolean };
  readonly sha256Engine: 'OpenSSL' | 'AVX-512' | 'SHA-NI' | 'AVX2';
  control(): NativeControl;
  /** The bytes of the longest typed array of this runtime. Until then 4 GiB, as in Node 20. */
  setMaxArray(bytes: number): void;
}
