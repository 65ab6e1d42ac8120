/**
 * `run --mount`: a program gets a model as ordinary files that no other process sees. If these fail, a library that resolves paths finds no
 * model, plaintext shows in a file system of other processes or outlives the program, or a system without namespaces is answered with less
 * than an error.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CliModels } from '../support/cli-models.js';
import { RunLab, standsInItsPlace } from '../support/run-lab.js';
import { projectRoot } from '../support/shared.js';

/** Such a root needs a user namespace for a mount, as any other user does. */
const LIMITED = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-sys_admin'] : [];

let lab: RunLab;
let models: CliModels;
beforeAll(async () => {
  lab = await RunLab.make('cli-run-mount', ['--mount']);
  models = lab.models;
  for (const name of ['map-real-path', 'forbid-call'])
    execFileSync('cc', ['-o', models.at(name), path.join(projectRoot, 'test/support', `${name}.c`)]);
});
const run = (ref: string, ...program: readonly string[]) => lab.run(ref, ...program);

standsInItsPlace(() => lab);

const processes = (): readonly string[] => readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
function mountsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'latin1');
  } catch {
    return ''; // it has ended
  }
}
/** The real path of the file that this process would find there. */
const seenBy = (pid: string, file: string): boolean => existsSync(path.join('/proc', pid, 'root', file));

describe.each([
  ['in a mount namespace', []],
  ['in a user namespace', LIMITED],
])('a program %s', (_, prefix) => {
  it('resolves the path of a file with its own name, and maps it', () => {
    const { status, stdout, stderr } = lab.runAfter(prefix, 'net@1', models.at('map-real-path'), '{model}');
    expect(stderr).toContain('/net.onnx\n');
    expect(path.dirname(path.dirname(stderr.trimEnd().split('\n').at(-1) ?? ''))).toBe(realpathSync(lab.temporary));
    expect(status).toBe(0);
    expect(stdout.equals(models.plain)).toBe(true);
    expect(lab.folders()).toEqual([]);
  });

  it('gets a folder of regular files, which it cannot write to, in its arguments and its environment', () => {
    const script = `set -e
test "$MODEL_GUARD_MODEL" = "$1"; test "$2" = "$1/b"; test -z "$MODEL_GUARD_PASSWORD"
test "$(cat)" = 'from stdin'; test "$(cat "$2")" = b
test "$(cd "$1"; find . | sort | tr '\\n' ' ')" = '. ./b ./deep ./deep/a '
test "$(stat -c '%F %a' "$2")" = 'regular file 400'; test "$(stat -c %a "$1")" = 700; test -O "$2"
if echo changed > "$2" || touch "$1/new" || rm -f "$2"; then exit 3; fi
cat "$1/deep/a"`;
    const { status, stdout, stderr } = lab.runAfter(prefix, 'folder@1', 'sh', '-c', script, 'sh', '{model}', '{file:b}');
    expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining('Read-only file system') });
    expect(stdout.equals(models.plain)).toBe(true);
  });

  it('stays the same user, to which its files belong', () => {
    const file = models.at(`written ${prefix.length}`);
    expect(lab.runAfter(prefix, 'net@1', 'sh', '-c', 'id -u; id -g; echo > "$1"', 'sh', file)).toMatchObject({ status: 0 });
    const script = 'id -u; id -g; stat -c "%u %g" "$1"';
    const [uid, gid] = [process.getuid?.(), process.getgid?.()];
    expect(String(lab.runAfter(prefix, 'net@1', 'sh', '-c', script, 'sh', file).stdout)).toBe(`${uid}\n${gid}\n${uid} ${gid}\n`);
    expect(execFileSync('stat', ['-c', '%u %g', file], { encoding: 'utf8' })).toBe(`${uid} ${gid}\n`);
  });
});

it.each(['', 'close_range'])(
  'the program has the standard streams alone, and no signal is ignored or blocked in it (without %s)',
  (call) => {
    const script = `import os, re
print(sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)))
print(re.findall('Sig(?:Blk|Ign):\\t(\\\\S+)', open('/proc/%d/status' % os.getppid()).read()))`;
    const without = call === '' ? [] : [models.at('forbid-call'), call];
    const { stdout } = lab.runAfter(without, 'folder@1', 'sh', '-c', 'ls /proc/$$/fd; python3 -c "$0"; :', script);
    const lines = String(stdout).trim().split('\n');
    expect(lines.slice(0, 3)).toEqual(['0', '1', '2']);
    expect(lines.slice(-2)).toEqual(['[0, 1, 2]', "['0000000000000000', '0000000000000000']"]);
  },
);

it('no other process sees the files, and model-guard gives its own copy back', async () => {
  const child = lab.start('net@1', 'sh', '-c', 'echo "ready $$ $1"; read word', 'sh', '{model}');
  const [program = '', model = ''] = (await child.waitFor('ready')).split(' ');
  expect(seenBy(program, model)).toBe(true);
  expect(readdirSync(path.dirname(model))).toEqual([]);
  const point = path.basename(path.dirname(model));
  for (const pid of processes().filter((one) => one !== program)) {
    expect([pid, seenBy(pid, model)]).toEqual([pid, false]);
    expect([pid, mountsOf(pid).includes(point)]).toEqual([pid, false]);
  }
  while (descriptorsOf(child.pid).some((file) => file.includes('memfd:model-guard')))
    await new Promise((resolve) => setImmediate(resolve));
  child.say('end');
  expect(await child.ended).toMatchObject({ code: 0 });
  expect(lab.folders()).toEqual([]);
});
function descriptorsOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).map((fd) => {
    try {
      return readlinkSync(path.join(folder, fd));
    } catch {
      return ''; // closed meanwhile
    }
  });
}

describe('the exit code', () => {
  it('is that of a script without a first line, found in PATH, as execvp finds it', () => {
    mkdirSync(models.at('bin'));
    writeFileSync(models.at('bin/unnamed'), 'test "$1" = word && exit 5', { mode: 0o755 });
    const paths = ['env', `PATH=${models.at('missing')}:${models.at('bin')}:${process.env.PATH}`];
    expect(lab.runAfter(paths, 'net@1', 'unnamed', 'word').status).toBe(5);
  });
});

describe('SIGKILL', () => {
  it('of the command leaves the program its model, and in the file system an empty folder until the next run', async () => {
    const script = 'echo "ready $1"; read word; cat "$1/b" > "$0"; echo done; read word';
    const child = lab.start('folder@1', 'sh', '-c', script, models.at('read'), '{model}');
    const folder = await child.waitFor('ready');
    process.kill(child.pid, 'SIGKILL');
    // Another run in the meantime clears what the dead left, but not this: the program would lose its model.
    expect(run('folder@1', 'true').status).toBe(0);
    child.say('go on');
    await child.waitFor('done');
    expect(readFileSync(models.at('read'), 'utf8')).toBe('b');
    child.say('end');
    await child.ended;
    expect(readdirSync(folder)).toEqual([]);
    for (const pid of processes()) expect([pid, mountsOf(pid).includes(path.basename(folder))]).toEqual([pid, false]);
    run('folder@1', 'true');
    expect(lab.folders()).toEqual([]);
  });
});

it('what the program left running finds no file any more', () => {
  const fifo = models.at('fifo');
  execFileSync('mkfifo', [fifo]);
  const script = '(read word < "$1"; if cat "$2"; then echo found; else echo gone; fi > "$1") > /dev/null 2>&1 & exit 0';
  expect(run('net@1', 'sh', '-c', script, 'sh', fifo, '{model}').status).toBe(0);
  writeFileSync(fifo, 'go\n');
  expect(readFileSync(fifo, 'utf8')).toBe('gone\n');
});

describe('a system that forbids the mount', () => {
  const refused = (prefix: readonly string[]) => lab.runAfter(prefix, 'net@1', 'touch', models.at('started'));

  it.each(['unshare', 'mount'])('by refusing %s is answered before the program starts', (call) => {
    const { status, stderr } = refused([models.at('forbid-call'), call]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^model-guard: .*\\(${call}: Operation not permitted\\)\\. Run it without --mount.* \\[MOUNT_REFUSED\\]$`, 'm'),
    );
    expect(existsSync(models.at('started'))).toBe(false);
    expect(lab.folders()).toEqual([]);
  });

  it('by a setting is answered with that setting', () => {
    const script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin "$@"';
    const { status, stderr } = refused(['unshare', '-r', 'sh', '-c', script, 'sh']);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /Run it without --mount, or .* set user\.max_user_namespaces to a number above 0 .* \[MOUNT_REFUSED\]$/m,
    );
    expect(existsSync(models.at('started'))).toBe(false);
  });
});
