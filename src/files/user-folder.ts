/** Folders of this user, as the XDG specification places them. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

type Variable = 'XDG_CACHE_HOME' | 'XDG_CONFIG_HOME' | 'XDG_STATE_HOME';

const BELOW_HOME: Readonly<Record<Variable, string>> = {
  XDG_CACHE_HOME: '.cache',
  XDG_CONFIG_HOME: '.config',
  XDG_STATE_HOME: '.local/state',
};

/**
 * The folder of this package below the one that `variable` names, or below the home folder. A relative path is ignored, as the
 * specification demands: the working folder must not decide whom a program trusts. Undefined where there is no home folder.
 */
export function userFolder(variable: Variable): string | undefined {
  const { [variable]: given } = process.env;
  const base = given !== undefined && isAbsolute(given) ? given : belowHome(BELOW_HOME[variable]);
  return base === undefined ? undefined : join(base, 'model-guard');
}

/** The same for help texts: where it is unless `variable` is set, which most people have not. */
export const userFolderHelp = (variable: Variable, file = ''): string =>
  `default: ~/${BELOW_HOME[variable]}/model-guard${file}, or below ${variable} where that is set`;

function belowHome(folder: string): string | undefined {
  try {
    const home = homedir();
    return isAbsolute(home) ? join(home, folder) : undefined;
  } catch {
    return undefined;
  }
}
