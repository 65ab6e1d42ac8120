/** Advice for an addon that is not there or does not load: each cause has a remedy of its own. */
import { readdirSync } from 'node:fs';
import { codeOf, isError } from '../errors.js';
import { PACKAGE } from './package-root.js';

export const GUIDE = `See docs/bundlers.md of ${PACKAGE}.`;
const here = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
const REBUILD = `Run \`npm rebuild ${PACKAGE}\` on this machine (${here}): it needs Python 3, make and a C++17 compiler.`;

export const BUNDLED = `Keep ${PACKAGE} external to your bundler, so that it is loaded from node_modules; or bring the addon's file along and name it with useNativeAddon. ${GUIDE}`;

export const TRUNCATED = 'Its copy or download was interrupted, or the disk was full. Install the package again.';

export const OTHER_PROCESSOR = `Install the package on this machine (${here}); do not copy node_modules. ${REBUILD}`;

/** For a package that holds no addon for this machine. */
export function adviceWhereMissing(prebuilds: string): string {
  if (process.platform !== 'linux')
    return `The addon runs on Linux (x64, arm64); this is ${here}. Use a Linux machine or container.`;
  const brought = filesBelow(prebuilds);
  if (brought.length > 0)
    return `The package brings the addon for ${brought.join(', ')} only, for other systems or C libraries than this one's. ${REBUILD}`;
  return `${REBUILD} An install with --ignore-scripts has no addon, nor has a copy that a tool made without the folder prebuilds/. ${GUIDE}`;
}

/** Words of the system’s loader, in glibc and in musl. */
const LOADER: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /GLIBC(XX)?_[\d.]+|musl|\bld-linux|Error relocating/,
    `It was built for another C library than this system's (glibc or musl, or an older one). ${REBUILD}`,
  ],
  [/ELF|[Ee]xec format|wrong architecture/, `It was built for another system than this one, or is damaged. ${OTHER_PROCESSOR}`],
  [
    /NODE_MODULE_VERSION|undefined symbol|self-register/,
    `It was built for another version of Node, or is another addon. ${REBUILD}`,
  ],
  [
    /failed to map segment|[Oo]peration not permitted/,
    'Its file system is mounted without the right to execute (noexec): install the package elsewhere.',
  ],
  [/cannot open shared object file|Cannot find module/, 'The file, or a library that it needs, is not there.'],
];

/** For an addon that does not load. */
export function adviceFor(cause: unknown): string | undefined {
  const permissions = 'permission' in process;
  switch (codeOf(cause)) {
    case 'ERR_DLOPEN_DISABLED':
      return permissions
        ? 'Start Node with --allow-addons beside --permission.'
        : 'Start Node without --no-addons, which may also be in NODE_OPTIONS.';
    case 'ERR_ACCESS_DENIED':
      return 'Start Node with --allow-fs-read for the folder of the package, and with --allow-addons.';
  }
  const text = isError(cause) ? cause.message : String(cause);
  return LOADER.find(([pattern]) => pattern.test(text))?.[1];
}

/** `linux-x64/node.napi.glibc.node`, and so on. */
function filesBelow(prebuilds: string): string[] {
  try {
    return readdirSync(prebuilds, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.node'));
  } catch {
    return [];
  }
}
