/** The only place that loads the addon, and the only one that turns its failures into errors. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { ERROR_CODES, isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import type { NativeBinding, NativeFailure } from './binding.js';

const PACKAGE = '@org/model-guard';
let loaded: NativeBinding | undefined;

/**
 * Loaded at first use, so that an import alone never fails. The ESM and the CommonJS copy of this module share one
 * addon instance, because the file is cached by its path.
 */
function binding(): NativeBinding {
  loaded ??= load();
  return loaded;
}

function load(): NativeBinding {
  const root = packageRoot();
  try {
    const require = createRequire(join(root, 'package.json'));
    const nodeGypBuild = require('node-gyp-build') as (folder: string) => NativeBinding;
    return nodeGypBuild(root);
  } catch (cause) {
    throw new ModelGuardError('NATIVE_UNAVAILABLE', `The native addon could not be loaded from ${root}`, {
      cause,
      advice: platformAdvice(),
    });
  }
}

// src/ under a test runner, dist/ in the package: the root is the nearest package.json that carries our name.
export function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name === PACKAGE) return folder;
    if (folder === dirname(folder)) break;
  }
  throw new ModelGuardError('NATIVE_UNAVAILABLE', `${start} is not inside an installed ${PACKAGE}`, {
    advice: `Keep ${PACKAGE} external to your bundler, so that it is loaded from node_modules.`,
  });
}

function platformAdvice(): string {
  if (process.platform !== 'linux')
    return `The addon runs on Linux (x64, arm64); this is ${process.platform}-${process.arch}. Use a Linux machine or container.`;
  return (
    `Run \`npm rebuild ${PACKAGE}\` here (${process.platform}-${process.arch}, Node ${process.versions.node}): it needs ` +
    'Python 3 and a C++17 compiler. An install with --ignore-scripts, or one copied from another platform, has no addon.'
  );
}

/**
 * Calls into the addon. The stack is taken before the call, while the caller's frames are still there: a native promise
 * rejects from the event loop, where none is left.
 */
export function call<T>(run: (native: NativeBinding) => T): T {
  const trace: { stack?: string } = {};
  Error.captureStackTrace(trace, call);
  const native = binding();
  try {
    const result = run(native);
    return result instanceof Promise ? (result.catch((error: unknown) => fail(error, trace)) as T) : result;
  } catch (error) {
    return fail(error, trace);
  }
}

function fail(error: unknown, trace: { stack?: string }): never {
  if (isModelGuardError(error)) throw error;
  const wrapped = isFailure(error)
    ? new ModelGuardError(error.code, error.what, error.errno ? { cause: systemError(error.errno) } : {})
    : new ModelGuardError('INTERNAL', 'The addon failed in an undocumented way', { cause: error });
  const frames = trace.stack?.slice(trace.stack.indexOf('\n    at '));
  if (frames) wrapped.stack = `${wrapped.name}: ${wrapped.message}${frames}`;
  throw wrapped;
}

function isFailure(error: unknown): error is NativeFailure & { code: ModelGuardErrorCode } {
  if (typeof error !== 'object' || error === null) return false;
  const { code, what } = error as Partial<NativeFailure>;
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) && typeof what === 'string';
}

function systemError(errno: number): Error {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code} (errno ${errno})`), { errno, code });
}
