/**
 * `run`: any program gets a model's path. If these fail, a program reads another model, a signal or an exit code is lost, or plaintext or the
 * folder of links outlives the program.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelGuard } from '../support/cli.js';
import type { CliModels } from '../support/cli-models.js';
import { COMMAND, RunLab, standsInItsPlace } from '../support/run-lab.js';
import { projectRoot } from '../support/shared.js';

let lab: RunLab;
let models: CliModels;
beforeAll(async () => {
  lab = await RunLab.make('cli-run');
  models = lab.models;
});
const run = (ref: string, ...program: readonly string[]) => lab.run(ref, ...program);

standsInItsPlace(() => lab);

describe('a program', () => {
  it('gets the path of a file, in its arguments and its environment, and no credentials', () => {
    const script = `import os, sys
model, same = sys.argv[1], sys.argv[2]
assert same == '--weights=' + model and os.environ['MODEL_GUARD_MODEL'] == model
assert 'MODEL_GUARD_PASSWORD' not in os.environ
assert sys.stdin.read() == 'from stdin'
sys.stdout.buffer.write(open(model, 'rb').read())`;
    const shown = run('net@1', 'python3', '-c', script, '{model}', '--weights={file:net.onnx}');
    expect(shown.stderr).not.toContain('Error');
    expect(shown.status).toBe(0);
    expect(shown.stdout.equals(models.plain)).toBe(true);
  });

  it('gets a folder of links, which is gone afterwards', () => {
    const script = 'cat "$1/deep/a" && test "$(cat "$2")" = b && test "$MODEL_GUARD_MODEL" = "$1" && echo "$1" >&2';
    const { status, stdout, stderr } = run('folder@1', 'sh', '-c', script, 'sh', '{model}', '{file:b}');
    expect(status).toBe(0);
    expect(stdout.equals(models.plain)).toBe(true);
    const folder = stderr.trimEnd().split('\n').at(-1) ?? '';
    expect(path.dirname(folder)).toBe(lab.temporary);
    expect(existsSync(folder)).toBe(false);
  });

  it('cannot write into that folder, which would be lost', () => {
    const script = 'stat -c %a "$1" "$1/deep"';
    expect(String(run('folder@1', 'sh', '-c', script, 'sh', '{model}').stdout)).toBe('500\n500\n');
    expect(lab.folders()).toEqual([]);
  });

  it('has one descriptor of each file', () => {
    const script = `for fd in /proc/$$/fd/*; do case "$(readlink $fd)" in *memfd:model-guard*) echo "\${fd##*/}";; esac; done
stat -Lc %s /proc/$$/fd/3 /proc/$$/fd/4`;
    expect(String(run('folder@1', 'sh', '-c', script).stdout).split('\n')).toEqual(['3', '4', '1', '300000', '']);
  });

  it('cannot change the model', () => {
    const { status, stdout } = run('net@1', 'sh', '-c', 'if echo changed >> "$1"; then exit 3; fi; cat "$1"', 'sh', '{model}');
    expect(status).toBe(0);
    expect(stdout.equals(models.plain)).toBe(true);
  });
});

describe('the exit code', () => {
  it('is 126 or 127 whatever is wrong with the name', () => {
    const loop = models.at('loop');
    symlinkSync(loop, loop);
    expect(run('net@1', path.join(models.at('device.key'), 'program')).status).toBe(127);
    expect(run('net@1', loop)).toMatchObject({ status: 126, stderr: expect.stringContaining('ELOOP') });
    expect(run('net@1', 'a'.repeat(300)).status).toBe(126);
  });

  it('is 2 for an empty name, and without -- in front of a program, whose options would be taken from it', () => {
    expect(run('net@1', '').status).toBe(2);
    const [node = '', ...args] = [...COMMAND, ...lab.words('net@1'), 'echo', '--threads', '4'];
    const { status, stdout, stderr } = spawnSync(node, args, { cwd: projectRoot, encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Put -- before the program');
  });

  it('is 2 without a program, before anything is loaded', async () => {
    const { code, stderr } = await modelGuard(...lab.words('missing@1'));
    expect([code, stderr]).toEqual([2, expect.stringContaining('Give the program to run after --')]);
  });
});

describe('signals', () => {
  it('of a terminal reach it once', () => {
    const result = spawnSync(
      'python3',
      ['-c', AT_TERMINAL, ...COMMAND, ...lab.words('net@1'), '--', 'python3', '-u', '-c', COUNT_INTERRUPTS],
      {
        cwd: projectRoot,
        encoding: 'utf8',
        env: { ...process.env, ...lab.environment },
      },
    );
    expect(result.stderr).toBe('');
    expect(result.stdout).toContain('interrupts: 1');
  });
});

describe('SIGKILL', () => {
  it('of the command leaves the program its sealed files, and in the file system a folder of links until the next run', async () => {
    const child = lab.start(
      'folder@1',
      'sh',
      '-c',
      'echo "ready $1"; read word; cat "$1/b" > "$0"; echo done',
      models.at('read'),
      '{model}',
    );
    const folder = await child.waitFor('ready');
    process.kill(child.pid, 'SIGKILL');
    child.say('go on');
    await child.waitFor('done');
    expect(readFileSync(models.at('read'), 'utf8')).toBe('b');
    await child.ended;
    expect(existsSync(folder)).toBe(true);
    const needle = models.plain.subarray(1000, 1032);
    for (const file of readdirSync(lab.temporary, { recursive: true, withFileTypes: true }))
      if (file.isFile()) expect(readFileSync(path.join(file.parentPath, file.name)).indexOf(needle)).toBe(-1);
    run('folder@1', 'true');
    expect(lab.folders()).toEqual([]);
  });
});

it('what the program left running sees zeros', async () => {
  const script = '(read word < "$1"; od -An -tx1 -N4 -j1000 /proc/self/fd/3 > "$2"; echo > "$2.done") > /dev/null 2>&1 & exit 0';
  const fifo = models.at('fifo');
  expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
  expect(run('net@1', 'sh', '-c', script, 'sh', fifo, models.at('left')).status).toBe(0);
  writeFileSync(fifo, 'go\n');
  while (!existsSync(models.at('left.done'))) await new Promise((resolve) => setImmediate(resolve));
  expect(readFileSync(models.at('left'), 'utf8').trim()).toBe('00 00 00 00');
});

/** Runs a command at a terminal of its own and presses Ctrl-C. SIGUSR1 follows the way of a signal that is passed on, and comes after it. */
const AT_TERMINAL = `import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
seen = b''
def until(word):
    global seen
    while word not in seen:
        try: piece = os.read(terminal, 1000)
        except OSError: piece = b''
        if not piece: sys.exit('ended without ' + repr(word) + ': ' + repr(seen))
        seen += piece
until(b'ready')
os.write(terminal, b'\\x03')
until(b'interrupted')
os.kill(pid, signal.SIGUSR1)
until(b'interrupts: ')
try:
    while True: seen += os.read(terminal, 1000)
except OSError: pass
sys.stdout.write(seen.decode())
os.waitpid(pid, 0)`;
const COUNT_INTERRUPTS = `import os, signal
count = 0
def interrupted(*_):
    global count
    count += 1
    print('interrupted')
def end(*_):
    print('interrupts: %d' % count)
    os._exit(0)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGUSR1, end)
print('ready')
while True: signal.pause()`;
