/** Reading what a machine is made of starts no process: strace sees one execve, the command's own, and after it threads alone. */
import { execFileSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'tsup';
import { beforeAll, describe, expect, it } from 'vitest';
import { projectRoot, skipTest } from '../support/shared.js';
import { hasStrace } from '../support/strace.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('fingerprint');
const at = (name: string): string => path.join(folder, name);

/** The calls of `node ARGS` that start processes or threads, and what it wrote. */
function startsOf(args: readonly string[]): {
  readonly programs: string[];
  readonly processes: string[];
  readonly stdout: string;
} {
  const kinds = 'execve,execveat,fork,vfork,clone,clone3';
  const stdout = execFileSync('strace', ['-f', '-e', `trace=${kinds}`, '-o', at('calls'), process.execPath, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  const begun = readFileSync(at('calls'), 'utf8')
    .split('\n')
    .filter((line) => /^\d+ +(execve|execveat|fork|vfork|clone|clone3)\(/.test(line));
  return {
    programs: begun.filter((line) => /^\d+ +execve/.test(line)),
    processes: begun.filter((line) => /^\d+ +(v?fork|clone)/.test(line) && !line.includes('CLONE_THREAD')),
    stdout,
  };
}

describe('model-guard fingerprint', () => {
  beforeAll(async () => {
    // The command as the package ships it, in dist/, from the sources as they are: tsx would start a compiler.
    writeFileSync(at('package.json'), JSON.stringify({ name: '@org/model-guard', version: '0.0.0', type: 'module' }));
    for (const name of ['node_modules', 'build']) symlinkSync(path.join(projectRoot, name), at(name));
    const requires = "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);";
    await build({
      config: false,
      silent: true,
      entry: { cli: path.join(projectRoot, 'src/cli/main.ts') },
      format: ['esm'],
      target: 'node20',
      banner: { js: requires },
      outDir: at('dist'),
      clean: false,
    });
  });

  it('starts no process', (context) => {
    if (!hasStrace()) skipTest(context, 'strace is not installed');
    const { programs, processes, stdout } = startsOf([at('dist/cli.js'), 'fingerprint', '--json', '--show-values']);
    expect(JSON.parse(stdout)).toMatchObject({ factors: expect.arrayContaining([expect.objectContaining({ name: 'cpu' })]) });
    expect(programs, 'another program was started').toHaveLength(1);
    expect(processes, 'a process was started').toEqual([]);
  });

  it('would be caught', (context) => {
    if (!hasStrace()) skipTest(context, 'strace is not installed');
    const { programs, processes } = startsOf(['-e', "require('child_process').execFileSync('/bin/true')"]);
    expect([programs.length > 1, processes.length]).toEqual([true, 1]);
  });
});
