/** The folders of the installed package. */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { codeOf } from '../errors.js';

export const PACKAGE = '@org/model-guard';

export interface PackageFolders {
  readonly root: string;
  /** The folder of its prebuilt addons. */
  readonly prebuilds: string;
  /** The addon that an installation compiles. */
  readonly built: string;
}

/**
 * Undefined inside a bundle: there this module lies elsewhere, or does not know where. In dist/ the file lies one folder below the root, in
 * src/native/ two. Each path is written out, so that tools that copy what a program reads find the addon (@vercel/nft).
 * @throws ERR_ACCESS_DENIED where Node may not read the folder
 */
export function packageFolders(): PackageFolders | undefined {
  if ((import.meta.dirname as string | undefined) === undefined) return undefined;
  const installed = resolve(`${import.meta.dirname}/../package.json`);
  if (nameIn(installed) === PACKAGE)
    return {
      root: dirname(installed),
      prebuilds: resolve(`${import.meta.dirname}/../prebuilds`),
      built: resolve(`${import.meta.dirname}/../build/Release/model_guard.node`),
    };
  const source = resolve(import.meta.dirname, '../../package.json');
  if (nameIn(source) !== PACKAGE) return undefined;
  const root = dirname(source);
  return { root, prebuilds: resolve(root, 'prebuilds'), built: resolve(root, 'build/Release/model_guard.node') };
}

/** The version in the package's manifest; undefined inside a bundle. */
export function packageVersion(): string | undefined {
  const root = packageFolders()?.root;
  if (root === undefined) return undefined;
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }).version;
}

function nameIn(manifest: string): unknown {
  try {
    return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly name?: unknown }).name;
  } catch (error) {
    if (codeOf(error) === 'ERR_ACCESS_DENIED') throw error;
    return undefined;
  }
}
