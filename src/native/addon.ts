/// <reference path="./node-gyp-build.d.ts" />
/**
 * Finds the addon and loads it. Every check of this package is made inside the addon, so the program that runs decides which one is
 * loaded; the environment does not (docs/decisions/0020).
 */
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, sep } from 'node:path';
import nodeGypBuild from 'node-gyp-build';
import { ERROR_CODES, ModelGuardError } from '../errors.js';
import { adviceFor, adviceWhereMissing, BUNDLED, GUIDE, OTHER_PROCESSOR, TRUNCATED } from './addon-advice.js';
import type { NativeBinding } from './binding.js';
import { elfFault } from './elf.js';
import { PACKAGE, type PackageFolders, packageFolders } from './package-root.js';

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
  const { path } = choice;
  if (path === undefined) return loadFile(findAddon());
  return loadFile(path, 'Check the path that the program gives to useNativeAddon.');
}

function loadFile(file: string, otherwise?: string): NativeBinding {
  let addon: Partial<NativeBinding>;
  try {
    const fault = elfFault(file);
    if (fault === 'truncated') throw unavailable(`The native addon ${file} is not whole`, { advice: otherwise ?? TRUNCATED });
    if (fault === 'processor')
      throw unavailable(`The native addon ${file} is for another processor`, { advice: otherwise ?? OTHER_PROCESSOR });
    // By the file's own path: a bundle may not know where this module lies.
    addon = createRequire(file)(file) as Partial<NativeBinding>;
  } catch (cause) {
    if (cause instanceof ModelGuardError) throw cause;
    throw unavailable(`The native addon could not be loaded from ${file}`, { cause, advice: adviceFor(cause) ?? otherwise });
  }
  if (addon.codes?.every((code) => Object.hasOwn(ERROR_CODES, code)) && typeof addon.control === 'function')
    return addon as NativeBinding;
  throw unavailable(`${file} is not the addon of this version of ${PACKAGE}`, {
    advice: `Bring the addon's file along from the package that the program was made with. ${GUIDE}`,
  });
}

/** The real path of the package's own addon. A link that is put in its place later changes nothing. */
function findAddon(): string {
  const { root, prebuilds, built } = ownFolders();
  let found: string;
  try {
    found = realpathSync(nodeGypBuild.path(root));
  } catch (cause) {
    throw unavailable(`The native addon could not be found in ${root}`, {
      cause,
      advice: adviceFor(cause) ?? adviceWhereMissing(prebuilds),
    });
  }
  if ([prebuilds, dirname(built)].some((folder) => found.startsWith(realPath(folder) + sep))) return found;
  const variable = process.env[VARIABLE];
  throw new ModelGuardError(
    'NATIVE_UNTRUSTED',
    variable === undefined
      ? `${found} is not the addon of ${root}, which lies in prebuilds or in build/Release`
      : `The variable ${VARIABLE} (${variable}) leads to another addon: ${found}`,
  );
}

function ownFolders(): PackageFolders {
  let folders: PackageFolders | undefined;
  try {
    folders = packageFolders();
  } catch (cause) {
    throw unavailable(`The folder of ${PACKAGE} could not be read`, { cause, advice: adviceFor(cause) });
  }
  if (folders) return folders;
  throw unavailable(`This copy of ${PACKAGE} is inside a bundle, which has no native addon`, { advice: BUNDLED });
}

const unavailable = (what: string, options: ConstructorParameters<typeof ModelGuardError>[2]): ModelGuardError =>
  new ModelGuardError('NATIVE_UNAVAILABLE', what, options);

/** A folder that is not there holds nothing. */
function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
