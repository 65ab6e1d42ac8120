// Runs the server where better-sqlite3 could not be compiled: on node:sqlite in Node 24 and 26, refused in a sentence in Node 20, and on
// PostgreSQL, which needs neither. The tests of the database run on node:sqlite, too.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { STORY, serverOf, startGuard, tellStory } from './runtimes.mjs';

const TESTS = ['server/test/database', 'server/test/http/health.test.ts', 'server/test/subjects/erasure.test.ts'];
/** No program listens there. */
const NO_DATABASE = 'postgres://guard@127.0.0.1:1/guard';

/** `tarballs` are of both packages, `runtimes` of installRuntimes; `run` runs a command and ends the script where it fails. */
export async function tryDrivers({ tarballs, runtimes, temporary, root, run }) {
  const project = path.join(temporary, 'no-compiler');
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name: 'no-compiler', private: true }));
  run('npm install of the server without a compiler', 'npm', ['install', '--no-audit', '--no-fund', ...tarballs], {
    cwd: project,
    // Its download is not tried either.
    env: { ...process.env, CC: 'false', CXX: 'false', npm_config_build_from_source: 'better-sqlite3' },
  });
  if (existsSync(path.join(project, 'node_modules/better-sqlite3'))) throw new Error('better-sqlite3 was installed all the same');
  const script = path.join(project, 'story.mjs');
  cpSync(STORY, script);

  for (const name of ['node-24', 'node-26']) {
    const words = runtimes[name];
    const guard = await startGuard({ project, data: path.join(temporary, `own-sqlite-${name}`), node: words[0] });
    if (guard.facts.database !== 'SQLite (node:sqlite)') throw new Error(`${name} used ${guard.facts.database}`);
    tellStory(`the story on node:sqlite of ${name}`, { words, script, guard, run });
    await guard.stop();
  }
  run(
    'the tests of the database on node:sqlite',
    runtimes['node-24'][0],
    [vitest(root), 'run', '--project', 'server', ...TESTS],
    {
      cwd: root,
      env: { ...process.env, MG_TEST_SQLITE: 'node:sqlite' },
    },
  );

  const [node] = runtimes['node-20'];
  const data = path.join(temporary, 'no-driver');
  const start = (environment) =>
    spawnSync(node, [serverOf(project), '--data', data, '--port', '0'], {
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    });
  expectEnd(
    'node-20 without a driver is told what to do',
    start({}),
    1,
    /Node 24 or newer.*DATABASE_URL\). \(NATIVE_UNAVAILABLE\)\n$/,
  );
  if (existsSync(data)) throw new Error('a refused start made its data folder');
  expectEnd('node-20 needs none for PostgreSQL', start({ DATABASE_URL: NO_DATABASE }), 7, /SERVER_UNREACHABLE/);
}

const vitest = (root) => path.join(root, 'node_modules/vitest/vitest.mjs');

function expectEnd(title, { status, stderr }, code, message) {
  if (status !== code || !message.test(stderr)) throw new Error(`${title}: ${status}, ${stderr}`);
  console.log(`ok: ${title}`);
}
