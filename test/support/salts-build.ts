/** The package in an empty project, as npm installs it, and the build of it that an organisation makes. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from './shared.js';
import { temporaryFolder } from './temp.js';

const base = temporaryFolder('salts-build');
const run = promisify(execFile);
const PACKAGE = '@org/model-guard';
let projects = 0;
let packed: Promise<string> | undefined;

/** The binary that `folder` loads. */
export const binaryOf = (folder: string): string =>
  (createRequire(import.meta.url)('node-gyp-build') as { path(folder: string): string }).path(folder);

async function pack(): Promise<string> {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', base], { cwd: projectRoot });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return path.join(base, filename);
}

export class Project {
  /** Of the installed package. */
  readonly folder: string;

  private constructor(readonly root: string) {
    this.folder = path.join(root, 'node_modules', PACKAGE);
  }

  /** With a prebuilt binary that fits: the one of this tree. */
  static async create(): Promise<Project> {
    packed ??= pack();
    projects += 1;
    const project = new Project(path.join(base, `project-${projects}`));
    mkdirSync(project.folder, { recursive: true });
    await run('tar', ['xf', await packed, '--strip-components=1', '-C', project.folder]);
    const prebuilds = path.join(project.folder, 'prebuilds', `${process.platform}-${process.arch}`);
    mkdirSync(prebuilds, { recursive: true });
    cpSync(binaryOf(projectRoot), path.join(prebuilds, 'node.napi.node'));
    const { dependencies } = JSON.parse(readFileSync(path.join(projectRoot, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) {
      cpSync(path.join(projectRoot, 'node_modules', name), path.join(project.root, 'node_modules', name), { recursive: true });
    }
    writeFileSync(path.join(project.root, 'package.json'), JSON.stringify({ name: 'stranger', private: true }));
    await run('npm', ['rebuild', '--ignore-scripts'], { cwd: project.root }); // links the dependencies' commands
    return project;
  }

  /** `npm rebuild @org/model-guard`, with MODEL_GUARD_SALTS where `salts` is given. */
  async rebuild(salts?: string): Promise<{ readonly failed: boolean; readonly output: string }> {
    const { MODEL_GUARD_SALTS: _, ...env } = process.env;
    try {
      const { stdout, stderr } = await run('npm', ['rebuild', '--foreground-scripts', PACKAGE], {
        cwd: this.root,
        env: { ...env, JOBS: 'max', ...(salts === undefined ? {} : { MODEL_GUARD_SALTS: salts }) },
        maxBuffer: 2 ** 26,
      });
      return { failed: false, output: stdout + stderr };
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      return { failed: true, output: stdout + stderr };
    }
  }
}
