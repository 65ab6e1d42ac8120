/** The built package as test runners load it (jest, the vm pools of vitest): in a context of its own, with Node's modules from outside. */
import { readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import { createContext, runInContext } from 'node:vm';
import type * as Package from '../../src/index.js';
import { projectRoot } from './shared.js';

/** Modules of Node that the package gets otherwise, by name. */
type Replaced = Readonly<Record<string, unknown>>;

/** Classes of the language, such as Error and Uint8Array, are the context's own; those that Node adds are the outer one's. */
function newContext(): object {
  const context = createContext({});
  const own = new Set(runInContext('Object.getOwnPropertyNames(globalThis)', context) as string[]);
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (!own.has(name))
      Object.defineProperty(context, name, { get: () => Reflect.get(globalThis, name) as unknown, configurable: true });
  }
  return context;
}

/** The package and its dependencies. The AWS SDK and the addon stay outside, like Node's own modules. */
export function loadInRealm(replaced: Replaced = {}): typeof Package {
  const context = newContext();
  const loaded = new Map<string, { exports: object }>();
  const load = (file: string): object => {
    const known = loaded.get(file);
    if (known) return known.exports;
    const module = { exports: {} };
    loaded.set(file, module);
    const outer = createRequire(file);
    const require = (name: string): unknown => {
      if (isBuiltin(name)) return replaced[name.replace('node:', '')] ?? outer(name);
      const found = outer.resolve(name);
      return /@aws-sdk|\.(node|json)$/.test(found) ? outer(found) : load(found);
    };
    const text = `(function (module, exports, require, __filename, __dirname) {${readFileSync(file, 'utf8')}\n})`;
    const run = runInContext(text, context, { filename: file }) as (...given: unknown[]) => void;
    run(module, module.exports, require, file, path.dirname(file));
    return module.exports;
  };
  return load(path.join(projectRoot, 'dist/index.cjs')) as typeof Package;
}
