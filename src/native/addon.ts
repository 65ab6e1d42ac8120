/**
 * Finds the addon and loads it. Every check of this package is made inside the addon, so the program that runs decides which one is
 * loaded; the environment does not (docs/decisions/0020).
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModelGuardError } from '../errors.js';
import type { NativeBinding } from './binding.js';

const PACKAGE = '@org/model-guard';
/** Folders of the package that hold its addon. */
const OWN_FOLDERS = ['prebuilds', 'build/Release'];
/** node-gyp-build searches the folder that this variable names in place of the package's own. */
const VARIABLE = '@ORG/MODEL_GUARD_PREBUILD';

interface Choice {
  /** Where the program says that the addon is. */
  path?: string;
  /** An addon was asked for. */
  used: boolean;
}

/** One for the whole thread: the ESM and the CommonJS copy of this module load the same addon. */
const CHOICE = Symbol.for('@org/model-guard/addon');
const shared = globalThis as { [CHOICE]?: Choice };
const choice: Choice = shared[CHOICE] ?? { used: false };
shared[CHOICE] = choice;

/**
 * Names the native addon, for programs that are not installed with npm: bundles and single executables. Without this call the addon
 * is the one in the installed package. Call it before anything else of this package, in each worker thread that uses the package. The
 * file must come from the same version of this package, and must be as safe from other users as the program itself: it makes every
 * check.
 * @param path Absolute path of the `.node` file
 * @throws INVALID_ARGUMENT if `path` is not an absolute path to a `.node` file · IN_USE if an addon is in use already
 * @example
 * useNativeAddon(path.join(path.dirname(process.execPath), 'model_guard.node'));
 */
export function useNativeAddon(path: string): void {
  if (typeof path !== 'string' || !isAbsolute(path) || !path.endsWith('.node'))
    throw new ModelGuardError('INVALID_ARGUMENT', 'path: wants the absolute path of a .node file');
  if (choice.used)
    throw new ModelGuardError('IN_USE', 'The native addon is in use already', {
      advice: 'Call useNativeAddon before anything else of this package.',
    });
  choice.path = path;
}

/** Node caches the file by its path, so all copies of this module share one addon instance. NATIVE_UNAVAILABLE, NATIVE_UNTRUSTED */
export function loadAddon(): NativeBinding {
  choice.used = true;
  if (choice.path !== undefined) return loadFile(choice.path, 'Check the path that the program gives to useNativeAddon.');
  const root = packageRoot();
  return loadFile(findAddon(root), platformAdvice());
}

function loadFile(file: string, advice: string): NativeBinding {
  try {
    return createRequire(import.meta.url)(file) as NativeBinding;
  } catch (cause) {
    throw new ModelGuardError('NATIVE_UNAVAILABLE', `The native addon could not be loaded from ${file}`, { cause, advice });
  }
}

/** The real path of the package's own addon. A link that is put in its place later changes nothing. */
function findAddon(root: string): string {
  let found: string;
  try {
    const finder = createRequire(join(root, 'package.json'))('node-gyp-build') as { path(folder: string): string };
    found = realpathSync(finder.path(root));
  } catch (cause) {
    throw new ModelGuardError('NATIVE_UNAVAILABLE', `The native addon could not be found in ${root}`, {
      cause,
      advice: platformAdvice(),
    });
  }
  if (OWN_FOLDERS.some((folder) => found.startsWith(realFolder(join(root, folder)) + sep))) return found;
  const variable = process.env[VARIABLE];
  throw new ModelGuardError(
    'NATIVE_UNTRUSTED',
    variable === undefined
      ? `${found} is not in a folder of ${root} that holds its addon (${OWN_FOLDERS.join(', ')})`
      : `The variable ${VARIABLE} (${variable}) leads to another addon: ${found}`,
  );
}

/** A folder that is not there holds nothing. */
function realFolder(folder: string): string {
  return existsSync(folder) ? realpathSync(folder) : folder;
}

/** The nearest folder above this file whose package.json carries our name: this file lies in src/ or in dist/. NATIVE_UNAVAILABLE */
export function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name === PACKAGE) return folder;
    if (folder === dirname(folder)) break;
  }
  throw new ModelGuardError('NATIVE_UNAVAILABLE', `${start} is not inside an installed ${PACKAGE}`, {
    advice: `Keep ${PACKAGE} external to your bundler, so that it is loaded from node_modules; or name the addon with useNativeAddon.`,
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
