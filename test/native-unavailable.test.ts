/** An installation without its addon still imports, and says at first use what to do. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from './support/shared.js';
import { temporaryFolder } from './support/temp.js';

const base = temporaryFolder('no-addon');

function install(folder: string, name: string): string {
  const root = path.join(base, folder);
  mkdirSync(root);
  cpSync(path.join(projectRoot, 'src'), path.join(root, 'src'), { recursive: true });
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(root, 'node_modules'));
  writeFileSync(path.join(root, 'package.json'), JSON.stringify({ name, version: '0.0.0', type: 'module' }));
  return root;
}

function firstUse(root: string): { code: string; message: string } {
  const script = `
    import { MasterKey } from './src/index.ts';
    try { MasterKey.generate(); } catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message })); }`;
  // node-gyp-build looks elsewhere where such a variable says so.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.endsWith('_PREBUILD')));
  const node = ['--import', 'tsx', '--input-type=module', '-e', script];
  const { stdout } = spawnSync(process.execPath, node, { cwd: root, env, encoding: 'utf8' });
  return JSON.parse(stdout) as { code: string; message: string };
}

describe('without the addon', () => {
  it('the first use says how to get it', () => {
    expect(firstUse(install('missing', '@org/model-guard'))).toEqual({
      code: 'NATIVE_UNAVAILABLE',
      message: expect.stringMatching(/npm rebuild @org\/model-guard|runs on Linux/),
    });
  });

  it('inside a bundle, the first use says that the package must stay external', () => {
    expect(firstUse(install('bundled', 'some-app'))).toEqual({
      code: 'NATIVE_UNAVAILABLE',
      message: expect.stringContaining('external to your bundler'),
    });
  });
});
