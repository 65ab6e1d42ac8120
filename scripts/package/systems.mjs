// Installs the tarball in Debian 11, the oldest system that prebuilds are for, with Node alone and no compiler: on this processor, and on the
// other one where this system can emulate it.
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { STORY, startGuard } from './runtimes.mjs';

const SCRIPT = fileURLToPath(new URL('in-debian11.sh', import.meta.url));
const DEBIAN = { x64: 'amd64', arm64: 'arm64' };
/** Linux's entry for programs of another processor. */
const EMULATOR = { x64: '/proc/sys/fs/binfmt_misc/qemu-x86_64', arm64: '/proc/sys/fs/binfmt_misc/qemu-aarch64' };
const NODE = '20.20.2';
/** Root's rights, for the mounts of the system. */
const AS_ROOT = process.getuid() === 0 ? ['env'] : ['sudo', 'env', `PATH=${process.env.PATH}`];

/** `cache` is npm's, from an install of the tarball; `processors` those that the tarball has binaries for. */
export async function runStoryInDebian11({ project, temporary, tarball, cache, processors, run }) {
  for (const processor of processors) {
    if (processor !== process.arch && !existsSync(EMULATOR[processor])) {
      console.log(`SKIPPED: this system runs no programs for ${processor} (qemu-user-static, binfmt_misc)`);
      continue;
    }
    const folder = path.join(temporary, `debian11-${processor}`);
    const inside = (...names) => path.join(folder, ...names);
    mkdirSync(inside('project'), { recursive: true });
    const name = `node-linux-${processor}`;
    // --force: npm refuses the program of another processor.
    const quiet = ['--no-audit', '--no-fund', '--silent', '--ignore-scripts', '--force'];
    run(`npm install of Node for ${processor}`, 'npm', ['install', ...quiet, '--prefix', inside(), `${name}@${NODE}`]);
    cpSync(inside('node_modules', name, 'bin/node'), inside('node'));
    cpSync(cache, inside('cache'), { recursive: true });
    cpSync(tarball, inside('package.tgz'));
    cpSync(STORY, inside('project/story.mjs'));
    writeFileSync(inside('project/package.json'), JSON.stringify({ name: 'stranger', private: true }));

    const guard = await startGuard({ project, data: path.join(temporary, `guard-debian11-${processor}`) });
    cpSync(guard.facts.passwordFile, inside('project/password.txt'));
    writeFileSync(inside('project/guard.json'), JSON.stringify({ ...guard.facts, passwordFile: '/mnt/project/password.txt' }));
    const [command, ...words] = [...AS_ROOT, SCRIPT, DEBIAN[processor], folder];
    const said = run(`the story in Debian 11 (${processor})`, command, words, { timeout: 1_800_000 });
    await guard.stop();
    const { runtime, openssl, chapters } = JSON.parse(said);
    if (openssl.from !== 'own') throw new Error(`Debian 11 (${processor}) used OpenSSL ${openssl.version} (${openssl.from})`);
    console.table([{ system: `Debian 11, ${processor}`, runtime: `${runtime.name} ${runtime.version}`, ...chapters }]);
  }
}
