/** npm's install step where it has to compile. If this fails, a stranger without a compiler is left with the output of a build tool. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

it('the install says what it needs where there is no compiler', () => {
  const base = temporaryFolder('install');
  const root = path.join(base, 'package');
  for (const part of ['native/salts', 'native/common.gypi', 'native/sources.txt', 'binding.gyp', 'package.json'])
    cpSync(path.join(projectRoot, part), path.join(root, part), { recursive: true });
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(root, 'node_modules'));
  // Node and a shell alone.
  const tools = path.join(base, 'tools');
  mkdirSync(tools);
  symlinkSync(process.execPath, path.join(tools, 'node'));
  symlinkSync('/bin/sh', path.join(tools, 'sh'));
  const { status, stderr } = spawnSync(process.execPath, ['native/salts/install.mjs'], {
    cwd: root,
    env: { PATH: tools, npm_config_python: path.join(base, 'no-python') },
    encoding: 'utf8',
  });
  expect(status).not.toBe(0);
  expect(stderr).toMatch(
    /has to be compiled, because the package brings none that loads on this system \(linux-\w+\).*C\+\+17 compiler/,
  );
});
