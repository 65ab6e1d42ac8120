/** Packages of peers/package.json, which `npm ci` does not install. */
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const requirePeer = createRequire(fileURLToPath(new URL('package.json', import.meta.url)));

/** A package's module, typed by the little that is called here. */
export async function peer<Module>(name: string): Promise<Module> {
  return (await import(pathToFileURL(requirePeer.resolve(name)).href)) as Module;
}
export const missingPeer = (name: string) => () => {
  try {
    requirePeer.resolve(name);
    return undefined;
  } catch {
    return `${name} is not installed: npm install --prefix bench/compare/peers`;
  }
};
